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

}  // namespace
}  // namespace panal::storage
