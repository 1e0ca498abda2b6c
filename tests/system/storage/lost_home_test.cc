#include <fcntl.h>

#include <chrono>

#include "storage/home/guarded_home_store.h"
#include "storage/home/home_child.h"
#include "storage/quota/mount_table.h"
#include "tests/support/tiny_fuse.h"
#include "tests/system/storage/storage_fixture.h"

namespace panal::storage {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using testing_support::TinyFuse;
using Clock = std::chrono::steady_clock;

class LostHomeTest : public StorageTest {
 protected:
  void SetUp() override {
    StorageTest::SetUp();
    if (IsSkipped()) return;
    homes_ = make_mount_point("homes");
    server_ = std::make_unique<TinyFuse>(homes_);
    if (!server_->mounted()) GTEST_SKIP() << "no FUSE here: " << std::strerror(server_->error());
  }
  void TearDown() override {
    server_.reset();
    StorageTest::TearDown();
  }

  Result<home_call::Answer> probe(const std::vector<std::string>& paths) {
    home_call::Call call;
    call.homes_dir = homes_;
    call.words = paths;
    return children_.ask(call);
  }
  HomeSpec spec() {
    HomeSpec spec;
    spec.tenant = "acme";
    spec.home = "alice";
    spec.desktop = "d1";
    spec.uid = spec.gid = 1000;
    spec.ids = {1'065'536, 65536};
    spec.mount_point = make_mount_point("run/d1/home");
    return spec;
  }

  std::string homes_;
  std::unique_ptr<TinyFuse> server_;
  HomeChildren children_{std::string(PANAL_BIN_DIR) + "/panal-home", milliseconds(700)};
};

TEST_F(LostHomeTest, ALivingServerAnswers) {
  const auto answer = probe({homes_, dir_});
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_TRUE(answer->complete);
  ASSERT_EQ(answer->each.size(), 2U);
  EXPECT_TRUE(answer->each[0]) << answer->each[0].error().message();
  EXPECT_TRUE(answer->each[1]);
  EXPECT_EQ(children_.lost(), 0U);
}

TEST_F(LostHomeTest, AServerThatHangsCostsTheTimeLimitAndNothingElse) {
  server_->hang();
  const auto begun = Clock::now();
  const auto answer = probe({dir_, homes_});
  EXPECT_LT(Clock::now() - begun, milliseconds(3000));
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_FALSE(answer->complete);
  EXPECT_EQ(answer->at, 1) << "the first path was fine";
  ASSERT_FALSE(answer->each.empty());
  EXPECT_TRUE(answer->each[0]);
}

TEST_F(LostHomeTest, AStartWithAHungHomeFailsWithASentenceAndLeavesNoMount) {
  server_->hang();
  GuardedHomeStore homes(homes_, {"n1", QuotaKind::kNone, {}}, children_);
  const HomeSpec home = spec();
  const auto begun = Clock::now();
  const auto attached = homes.attach(home);
  EXPECT_LT(Clock::now() - begun, milliseconds(5000));
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code, ETIMEDOUT);
  EXPECT_THAT(attached.error().context, HasSubstr("the file system of the homes (" + homes_));
  const auto table = read_mount_table();
  ASSERT_TRUE(table);
  EXPECT_FALSE(is_mounted_at(*table, home.mount_point));
  // A stop does not hang either, and is no error: there is nothing to be seen of the home.
  EXPECT_TRUE(homes.detach(home));
}

TEST_F(LostHomeTest, AServerThatIsGoneIsToldFromOneThatIsLate) {
  server_->go_away();
  const auto answer = probe({homes_});
  ASSERT_TRUE(answer) << answer.error().message();
  ASSERT_TRUE(answer->complete);
  ASSERT_EQ(answer->each.size(), 1U);
  ASSERT_FALSE(answer->each[0]);
  EXPECT_EQ(answer->each[0].error().code, ENOTCONN);
  GuardedHomeStore homes(homes_, {"n1", QuotaKind::kNone, {}}, children_);
  const auto attached = homes.attach(spec());
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code, ENOTCONN);
}

TEST_F(LostHomeTest, WorkOnHomesGoesThroughTheProgramAsWell) {
  // On a local directory: what the program does is what the store does.
  GuardedHomeStore homes(dir_ + "/local", {"n1", QuotaKind::kNone, {}}, children_);
  const HomeSpec home = spec();
  const auto attached = homes.attach(home);
  ASSERT_TRUE(attached) << attached.error().message();
  EXPECT_EQ(stat_of(home.mount_point).st_uid, home.ids.first + 1000);
  EXPECT_EQ(read(dir_ + "/local/acme/.alice.lock"), "d1@n1");
  ASSERT_TRUE(homes.recover({"d1"}));
  EXPECT_EQ(read(dir_ + "/local/acme/.alice.lock"), "d1@n1");
  EXPECT_EQ(homes.remove("acme", "alice").error().code, EBUSY);
  ASSERT_TRUE(homes.detach(home));
  ASSERT_TRUE(homes.remove("acme", "alice"));
}

/// The program, which can be made to hang once it has unmounted: a script stands in for it.
class HungDetach : public StorageTest {
 protected:
  void SetUp() override {
    StorageTest::SetUp();
    if (IsSkipped()) return;
    home_.tenant = "acme";
    home_.home = "alice";
    home_.desktop = "d1";
    home_.uid = home_.gid = 1000;
    home_.ids = {1'065'536, 65536};
    home_.mount_point = make_mount_point("run/d1/home");
    write(dir_ + "/program", "#!/bin/sh\nif [ -e " + dir_ + "/hangs ]; then\n  umount -l " +
                                 home_.mount_point + "\n  exec sleep 100\nfi\nexec " +
                                 PANAL_BIN_DIR "/panal-home \"$@\"\n");
    ASSERT_EQ(::chmod((dir_ + "/program").c_str(), 0755), 0);
    children_ = std::make_unique<HomeChildren>(dir_ + "/program", milliseconds(2000));
    homes_ = store("n1");
  }
  std::unique_ptr<GuardedHomeStore> store(const std::string& node) {
    return std::make_unique<GuardedHomeStore>(dir_ + "/homes",
                                              HomeRules{node, QuotaKind::kNone, {}}, *children_);
  }
  void hang(bool hangs) {
    if (hangs)
      write(dir_ + "/hangs", "");
    else
      std::filesystem::remove(dir_ + "/hangs");
  }
  std::string lock() const { return read(dir_ + "/homes/acme/.alice.lock"); }

  HomeSpec home_;
  std::unique_ptr<HomeChildren> children_;
  std::unique_ptr<GuardedHomeStore> homes_;
};

TEST_F(HungDetach, LeavesALockThatGoesWhenTheServerAnswers) {
  const auto attached = homes_->attach(home_);
  ASSERT_TRUE(attached) << attached.error().message();
  hang(true);
  ASSERT_TRUE(homes_->detach(home_)) << "it is out of sight";
  EXPECT_EQ(lock(), "d1@n1");
  EXPECT_EQ(homes_->left(), 1U);
  EXPECT_EQ(homes_->unlock_left(), 0U);
  EXPECT_EQ(homes_->left(), 1U) << "it still hangs";
  hang(false);
  HomeSpec next = home_;
  next.desktop = "d2";
  next.leased = true;
  next.mount_point = make_mount_point("run/d2/home");
  EXPECT_EQ(store("n2")->attach(next).error().code, EBUSY);
  EXPECT_EQ(homes_->unlock_left(), 1U);
  EXPECT_EQ(homes_->left(), 0U);
  EXPECT_EQ(lock(), "");
  EXPECT_TRUE(store("n2")->attach(next));
}

TEST_F(HungDetach, IsToldFromAHomeThatIsStillUsed) {
  HomeChildren patient(dir_ + "/program", milliseconds(20'000));
  GuardedHomeStore homes(dir_ + "/files", {"n1", QuotaKind::kLoop, {std::uint64_t{16} << 20U, 0}},
                         patient);
  const auto attached = homes.attach(home_);
  ASSERT_TRUE(attached) << attached.error().message();
  UniqueFd used(::open(home_.mount_point.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_TRUE(used);
  const auto detached = homes.detach(home_);
  ASSERT_FALSE(detached) << "nobody else may be given it";
  EXPECT_EQ(detached.error().code, EBUSY);
  EXPECT_EQ(homes.left(), 1U);
  EXPECT_EQ(homes.unlock_left(), 0U);
  EXPECT_EQ(read(dir_ + "/files/acme/.alice.lock"), "d1@n1");
  used.reset();
  ASSERT_TRUE(homes.detach(home_));
  EXPECT_EQ(read(dir_ + "/files/acme/.alice.lock"), "");
  EXPECT_EQ(homes.left(), 0U);
}

TEST_F(HungDetach, LeavesNothingToUnlockOnceTheHomeIsOpenAgain) {
  for (const char* desktop : {"d1", "d2"}) {
    HomeSpec next = home_;
    next.desktop = desktop;
    next.leased = true;
    ASSERT_TRUE(homes_->attach(home_));
    hang(true);
    ASSERT_TRUE(homes_->detach(home_));
    hang(false);
    ASSERT_TRUE(homes_->attach(next));
    EXPECT_EQ(homes_->left(), 0U);
    EXPECT_EQ(homes_->unlock_left(), 0U);
    EXPECT_EQ(lock(), std::string(desktop) + "@n1");
    ASSERT_TRUE(homes_->detach(next));
    EXPECT_EQ(lock(), "");
  }
}

}  // namespace
}  // namespace panal::storage
