// Snapshots of homes, on the file systems that can make them.
#include <fcntl.h>
#include <signal.h>

#include <memory>
#include <ostream>

#include "storage/backup/backup.h"
#include "storage/home/home_store.h"
#include "storage/quota/tool.h"
#include "tests/support/kill_at_call.h"
#include "tests/system/storage/storage_fixture.h"

namespace panal::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
constexpr std::uint64_t kMib = std::uint64_t{1} << 20U;

struct Place {
  std::string name, format;
  QuotaKind kind = QuotaKind::kLoop;
};
// How gtest names what a test is about.
void PrintTo(const Place& place, std::ostream* out) { *out << place.name; }

class HomeSnapshots : public StorageTest, public ::testing::WithParamInterface<Place> {
 protected:
  void SetUp() override {
    StorageTest::SetUp();
    if (IsSkipped()) return;
    const std::string disk = dir_ + "/disk.img";
    const UniqueFd made(::open(disk.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::ftruncate(made.get(), static_cast<off_t>(512 * kMib)), 0);
    if (const auto formatted = run_tool({GetParam().format, "-q", disk}); !formatted)
      GTEST_SKIP() << formatted.error().message();
    const std::string point = make_mount_point("homes");
    if (const auto mounted = run_tool({"mount", "-o", "loop", disk, point}); !mounted)
      GTEST_SKIP() << mounted.error().message();
    if (GetParam().kind == QuotaKind::kQgroup) {
      ASSERT_TRUE(run_tool({"btrfs", "quota", "enable", point}));
    }
    tenant_ = point + "/acme";
    homes_ = std::make_unique<HomeStore>(point, HomeRules{"n1", GetParam().kind, {32 * kMib, 0}});
    const auto put =
        homes_->put("acme", "alice", false, me(), [](int) -> Result<void> { return {}; });
    ASSERT_TRUE(put) << put.error().message();
    ASSERT_EQ(homes_->info("acme", "alice", false)->quota, GetParam().kind);
  }
  void TearDown() override {
    homes_.reset();
    StorageTest::TearDown();
  }

  static HomeOwner me() { return {"test-" + std::to_string(::getpid()), "n1"}; }
  Result<void> snapshot(const std::string& name) {
    return homes_->snapshot("acme", "alice", name, me());
  }
  std::vector<std::string> snapshots() { return homes_->info("acme", "alice", false)->snapshots; }
  /// `snapshot`: of which the letter is; empty: of the home.
  std::string letter(const std::string& home, const std::string& snapshot = {}) {
    std::string text;
    const auto seen =
        homes_->with_tree("acme", home, snapshot, me(), [&](int tree) -> Result<void> {
          text = read("/proc/self/fd/" + std::to_string(tree) + "/letter");
          return {};
        });
    return seen ? text : seen.error().message();
  }
  Result<void> put_letter(const std::string& text) {
    return homes_->with_tree("acme", "alice", "", me(), [&](int tree) -> Result<void> {
      write("/proc/self/fd/" + std::to_string(tree) + "/letter", text);
      return {};
    });
  }
  Result<backup::Report> back_up(const std::string& snapshot, const std::string& file) {
    backup::Report report;
    const UniqueFd out(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    PANAL_TRY(homes_->with_tree("acme", "alice", snapshot, me(), [&](int tree) -> Result<void> {
      PANAL_ASSIGN(report, backup::write(tree, {"acme", "alice"}, out.get(), {}));
      return {};
    }));
    return report;
  }

  std::string tenant_;
  std::unique_ptr<HomeStore> homes_;
};

INSTANTIATE_TEST_SUITE_P(Places, HomeSnapshots,
                         ::testing::Values(Place{"loop_on_xfs", "mkfs.xfs", QuotaKind::kLoop},
                                           Place{"loop_on_btrfs", "mkfs.btrfs", QuotaKind::kLoop},
                                           Place{"qgroup", "mkfs.btrfs", QuotaKind::kQgroup}),
                         [](const auto& one) { return one.param.name; });

TEST_P(HomeSnapshots, KeepTheHomeAsItWasAndCanBeBackedUp) {
  ASSERT_TRUE(put_letter("monday's"));
  const auto before = back_up("", dir_ + "/before");
  ASSERT_TRUE(before) << before.error().message();
  const auto made = snapshot("monday");
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(snapshot("monday").error().code, EEXIST);
  ASSERT_TRUE(put_letter("tuesday's"));
  ASSERT_TRUE(snapshot("tuesday"));
  EXPECT_THAT(snapshots(), ElementsAre("monday", "tuesday"));
  EXPECT_EQ(letter("alice"), "tuesday's");
  EXPECT_EQ(letter("alice", "monday"), "monday's");
  EXPECT_EQ(letter("alice", "tuesday"), "tuesday's");

  const auto report = back_up("monday", dir_ + "/monday");
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->sum, before->sum) << "it is what the home was";
  const UniqueFd in(::open((dir_ + "/monday").c_str(), O_RDONLY | O_CLOEXEC));
  const auto restored = homes_->put("acme", "bob", false, me(), [&](int tree) -> Result<void> {
    PANAL_TRY(backup::read(in.get(), tree, {}, {}));
    return {};
  });
  ASSERT_TRUE(restored) << restored.error().message();
  EXPECT_EQ(letter("bob"), "monday's");

  ASSERT_TRUE(homes_->remove_snapshot("acme", "alice", "monday"));
  EXPECT_EQ(homes_->remove_snapshot("acme", "alice", "monday").error().code, ENOENT);
  EXPECT_THAT(letter("alice", "monday"), HasSubstr("has no snapshot monday"));
  EXPECT_THAT(snapshots(), ElementsAre("tuesday"));
  EXPECT_EQ(letter("alice", "tuesday"), "tuesday's") << "the other stays";
  for (const char* home : {"alice", "bob"}) {
    const auto removed = homes_->remove("acme", home);
    ASSERT_TRUE(removed) << removed.error().message();
  }
  EXPECT_TRUE(std::filesystem::is_empty(tenant_));
}

TEST_P(HomeSnapshots, OfAnOpenHomeAreBtrfsOnly) {
  HomeSpec open;
  open.tenant = "acme";
  open.home = "alice";
  open.desktop = "d1";
  open.ids = {1'065'536, 65536};
  open.mount_point = make_mount_point("run/d1/home");
  ASSERT_TRUE(put_letter("monday's"));
  const auto attached = homes_->attach(open);
  ASSERT_TRUE(attached) << attached.error().message();
  const auto made = snapshot("monday");
  if (GetParam().kind == QuotaKind::kQgroup) {
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_EQ(letter("alice", "monday"), "monday's");
  } else {
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, EBUSY);
    EXPECT_THAT(made.error().context, HasSubstr("is open in d1"));
    EXPECT_THAT(snapshots(), IsEmpty());
  }
  const auto detached = homes_->detach(open);
  ASSERT_TRUE(detached) << detached.error().message();
  ASSERT_TRUE(homes_->remove("acme", "alice"));
  EXPECT_TRUE(std::filesystem::is_empty(tenant_));
}

TEST_P(HomeSnapshots, AreWholeOrNoneWhenTheirMakingIsKilled) {
  ASSERT_TRUE(put_letter("monday's"));
  bool finished = false;
  for (unsigned nth = 1; !finished; ++nth) {
    SCOPED_TRACE(nth);
    const std::string name = "before-" + std::to_string(nth);
    const auto run = test::run_killed_before(nth, [&] { return snapshot(name) ? 0 : 1; });
    finished = run.finished;
    if (finished) {
      EXPECT_EQ(run.status, 0);
    }
    const auto recovered = homes_->recover({});
    ASSERT_TRUE(recovered) << recovered.error().message();
    const auto info = homes_->info("acme", "alice", false);
    ASSERT_TRUE(info);
    EXPECT_FALSE(info->owner);
    std::size_t names = 0;
    if (std::filesystem::exists(tenant_ + "/..snap.alice"))
      for ([[maybe_unused]] const auto& entry :
           std::filesystem::directory_iterator(tenant_ + "/..snap.alice"))
        ++names;
    const std::size_t each = GetParam().kind == QuotaKind::kLoop ? 2 : 1;  // a file, a directory
    EXPECT_EQ(names, each * info->snapshots.size());
    for (const std::string& one : info->snapshots) EXPECT_EQ(letter("alice", one), "monday's");
  }
  EXPECT_FALSE(snapshots().empty());
  const auto removed = homes_->remove("acme", "alice");
  ASSERT_TRUE(removed) << removed.error().message();
  EXPECT_TRUE(std::filesystem::is_empty(tenant_));
}

}  // namespace
}  // namespace panal::storage
