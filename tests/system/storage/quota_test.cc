#include "storage/quota/quota.h"

#include <fcntl.h>
#include <sys/statvfs.h>

#include "storage/quota/kinds.h"
#include "storage/quota/loop_mount.h"
#include "storage/quota/mount_table.h"
#include "storage/quota/pool.h"
#include "storage/quota/probe.h"
#include "storage/quota/reserve.h"
#include "storage/quota/tool.h"
#include "tests/system/storage/storage_fixture.h"

namespace panal::storage {
namespace {

using ::testing::HasSubstr;
constexpr std::uint64_t kMib = std::uint64_t{1} << 20U;

class QuotaTest : public StorageTest {
 protected:
  /// Writes until it may not; how much that was.
  static std::uint64_t fill(int dir) {
    const UniqueFd file(::openat(dir, "fill", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    const std::string block(65536, 'x');
    std::uint64_t written = 0;
    while (file && ::write(file.get(), block.data(), block.size()) > 0) written += block.size();
    return written;
  }
  /// Whether this process may make a mounted ext4 larger (CAP_SYS_RESOURCE).
  static bool grows() {
    const std::string status = read("/proc/self/status");
    const auto at = status.find("CapEff:");
    return at != std::string::npos &&
           (std::stoull(status.substr(at + 7, 17), nullptr, 16) >> 24U & 1U) != 0;
  }
};

TEST_F(QuotaTest, AFileSystemInAFileHoldsToItsLimits) {
  const auto quota = make_quota(QuotaKind::kLoop);
  const std::string path = dir_ + "/alice";
  const auto made = quota->provide(path, {32 * kMib, 256});
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(*quota_kind_of(path), QuotaKind::kLoop);
  EXPECT_EQ(stat_of(path).st_mode & 07777U, 0700U);
  {
    auto tree = quota->open(path);
    ASSERT_TRUE(tree) << tree.error().message();
    const auto again = quota->open(path);
    ASSERT_FALSE(again) << "two mounts of one file would destroy it";
    EXPECT_EQ(again.error().code, EBUSY);
    EXPECT_EQ(quota->remove(path).error().code, EBUSY);
    const std::uint64_t written = fill(tree->get());
    EXPECT_GT(written, 16 * kMib);
    EXPECT_LT(written, 32 * kMib);
    ASSERT_EQ(::unlinkat(tree->get(), "fill", 0), 0);
    int files = 0;
    while (UniqueFd(::openat(tree->get(), ("f" + std::to_string(files)).c_str(),
                             O_WRONLY | O_CREAT | O_CLOEXEC, 0600))) {
      ++files;
      ASSERT_LT(files, 4096);
    }
    EXPECT_GE(files, 200);
    const auto seen = quota->use(path);
    ASSERT_TRUE(seen) << "while it is mounted, by its file";
    EXPECT_FALSE(seen->inodes);
  }
  const auto use = quota->use(path);
  ASSERT_TRUE(use) << use.error().message();
  EXPECT_GE(use->inodes.value_or(0), 200U);
  EXPECT_EQ(use->limit.bytes, 32 * kMib);

  const auto smaller = quota->provide(path, {16 * kMib, 0});
  ASSERT_FALSE(smaller);
  EXPECT_EQ(smaller.error().code, EINVAL);
  ASSERT_TRUE(quota->provide(path, {32 * kMib, 0})) << "the same is no news";
  if (!grows()) {
    const auto larger = quota->provide(path, {64 * kMib, 0});
    ASSERT_FALSE(larger);
    EXPECT_EQ(larger.error().code, EINVAL);
    EXPECT_THAT(larger.error().context, HasSubstr("CAP_SYS_RESOURCE"));
    EXPECT_EQ(quota->use(path)->limit.bytes, 32 * kMib) << "nothing has changed";
    ASSERT_TRUE(quota->remove(path));
    EXPECT_TRUE(std::filesystem::is_empty(dir_));
    return;
  }
  const auto grown = quota->provide(path, {64 * kMib, 0});
  ASSERT_TRUE(grown) << grown.error().message();
  EXPECT_EQ(quota->use(path)->limit.bytes, 64 * kMib);
  {
    const auto tree = quota->open(path);
    ASSERT_TRUE(tree);
    EXPECT_GT(fill(tree->get()), 40 * kMib);
  }
  // Somebody made the file larger and died.
  ASSERT_EQ(::truncate(loop_file_of(path).c_str(), static_cast<off_t>(128 * kMib)), 0);
  ASSERT_TRUE(quota->provide(path, {128 * kMib, 0}));
  {
    const auto tree = quota->open(path);
    ASSERT_TRUE(tree);
    struct statvfs inside_it{};
    ASSERT_EQ(::fstatvfs(tree->get(), &inside_it), 0);
    EXPECT_GT(inside_it.f_blocks * inside_it.f_frsize, 100 * kMib);
  }
  ASSERT_TRUE(quota->remove(path));
  EXPECT_TRUE(std::filesystem::is_empty(dir_));
}

TEST_F(QuotaTest, AFileWithoutASizeIsRefusedAndLeavesNothing) {
  const auto quota = make_quota(QuotaKind::kLoop);
  const auto made = quota->provide(dir_ + "/alice", {});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, EINVAL);
  EXPECT_THAT(made.error().context, HasSubstr("at least 16 MiB"));
  EXPECT_TRUE(std::filesystem::is_empty(dir_));
}

TEST_F(QuotaTest, OneTakesAnothersPlaceInOneStep) {
  for (const QuotaKind kind : {QuotaKind::kNone, QuotaKind::kLoop}) {
    const auto quota = make_quota(kind);
    const SpaceLimit limit = kind == QuotaKind::kLoop ? SpaceLimit{16 * kMib, 0} : SpaceLimit{};
    const std::string old = dir_ + "/old";
    const std::string fresh = dir_ + "/fresh";
    for (const auto& path : {old, fresh}) {
      ASSERT_TRUE(quota->provide(path, limit));
      const auto tree = quota->open(path);
      ASSERT_TRUE(tree);
      const UniqueFd file(
          ::openat(tree->get(), path == old ? "was" : "is", O_CREAT | O_WRONLY, 0600));
      ASSERT_TRUE(file);
    }
    const auto replaced = quota->replace(fresh, old);
    ASSERT_TRUE(replaced) << replaced.error().message();
    EXPECT_FALSE(std::filesystem::exists(fresh));
    {
      const auto tree = quota->open(old);
      ASSERT_TRUE(tree);
      EXPECT_EQ(::faccessat(tree->get(), "is", F_OK, 0), 0);
      EXPECT_NE(::faccessat(tree->get(), "was", F_OK, 0), 0);
    }
    ASSERT_TRUE(quota->replace(old, fresh)) << "also where nothing was";
    ASSERT_TRUE(quota->remove(fresh));
    EXPECT_TRUE(std::filesystem::is_empty(dir_));
  }
}

TEST_F(QuotaTest, MemoryHoldsToItsLimit) {
  const auto quota = make_memory_quota({4 * kMib, 64});
  const std::string path = dir_ + "/layer";
  ASSERT_TRUE(quota->provide(path, {}));
  const auto tree = quota->open(path);
  ASSERT_TRUE(tree) << tree.error().message();
  EXPECT_LE(fill(tree->get()), 4 * kMib);
}

TEST_F(QuotaTest, TheProbeSaysOfEachKindWhetherItWorksAndWhy) {
  const auto findings = probe_quotas(dir_);
  ASSERT_EQ(findings.size(), 3U);
  for (const QuotaFinding& one : findings) {
    EXPECT_FALSE(one.why.empty());
    RecordProperty(std::string(to_string(one.kind)), one.why);
  }
  EXPECT_EQ(findings[2].kind, QuotaKind::kLoop);
  EXPECT_TRUE(findings[2].works) << findings[2].why;
  EXPECT_TRUE(std::filesystem::is_empty(dir_)) << "the trial left something";
}

TEST_F(QuotaTest, ProjectQuotasHoldWhereTheKernelHasThem) {
  const std::string file = dir_ + "/disk.img";
  const auto made = loop_file::make(file, {64 * kMib, 0}, "quota,project");
  if (!made)
    GTEST_SKIP() << "nothing is missing: no project quotas in this kernel: "
                 << made.error().message();
  const std::string point = make_mount_point("disk");
  {
    const auto tree = loop_file::open(file, {{"prjquota", ""}});
    ASSERT_TRUE(tree) << tree.error().message();
    ASSERT_TRUE(mount::attach(tree->get(), point));
  }
  const QuotaFinding finding = probe_quota(QuotaKind::kProject, point);
  if (!finding.works) GTEST_SKIP() << finding.why;
  const auto quota = make_quota(QuotaKind::kProject);
  const std::string path = point + "/alice";
  ASSERT_TRUE(quota->provide(path, {4 * kMib, 32}));
  EXPECT_EQ(*quota_kind_of(path), QuotaKind::kProject);
  write(path + "/letter", "mine");
  EXPECT_EQ(quota->use(path)->limit, (SpaceLimit{4 * kMib, 32}));
  EXPECT_GE(quota->use(path)->inodes.value_or(0), 2U);
  ASSERT_TRUE(quota->remove(path));
}

TEST_F(QuotaTest, QgroupsHoldWhereThereIsBtrfs) {
  const std::string file = dir_ + "/disk.img";
  const UniqueFd made(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::ftruncate(made.get(), static_cast<off_t>(256 * kMib)), 0);
  if (const auto formatted = run_tool({"mkfs.btrfs", "-q", file}); !formatted)
    GTEST_SKIP() << formatted.error().message();
  const std::string point = make_mount_point("disk");
  if (const auto mounted = run_tool({"mount", "-o", "loop", file, point}); !mounted)
    GTEST_SKIP() << mounted.error().message();
  EXPECT_FALSE(probe_quota(QuotaKind::kQgroup, point).works) << "quotas are off at first";
  ASSERT_TRUE(run_tool({"btrfs", "quota", "enable", point}));
  const QuotaFinding finding = probe_quota(QuotaKind::kQgroup, point);
  ASSERT_TRUE(finding.works) << finding.why;
  const auto quota = make_quota(QuotaKind::kQgroup);
  const std::string path = point + "/alice";
  ASSERT_TRUE(quota->provide(path, {8 * kMib, 0}));
  EXPECT_EQ(*quota_kind_of(path), QuotaKind::kQgroup);
  EXPECT_EQ(quota->use(path)->limit.bytes, 8 * kMib);
  EXPECT_EQ(quota->provide(path, {8 * kMib, 10}).error().code, EINVAL) << "it counts no inodes";
  ASSERT_TRUE(run_tool({"btrfs", "subvolume", "create", path + "/mine"}));
  ASSERT_TRUE(run_tool({"btrfs", "subvolume", "create", path + "/mine/deeper"}));
  ASSERT_TRUE(snapshot_subvolume(path + "/mine", path + "/mine/old"));
  ASSERT_TRUE(snapshot_subvolume(path, point + "/kept"));
  ASSERT_TRUE(remove_subvolume(point + "/kept"));
  ASSERT_TRUE(quota->remove(path));
}

TEST_F(QuotaTest, ThePoolIsMadeOnceAndCoversNobodysDesktops) {
  PoolSpec pool{dir_ + "/desktops.img", make_mount_point("desktops"), {256 * kMib, 0}};
  write(pool.mount_point + "/d1", "somebody's");
  const auto refused = ensure_pool(pool);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOTEMPTY);
  EXPECT_FALSE(std::filesystem::exists(pool.file));
  std::filesystem::remove(pool.mount_point + "/d1");

  EXPECT_EQ(*pool_state(pool), PoolState::kAbsent);
  const auto made = ensure_pool(pool);
  ASSERT_TRUE(made) << made.error().message();
  ASSERT_TRUE(ensure_pool(pool)) << "again is no error";
  EXPECT_EQ(*pool_state(pool), PoolState::kMounted);
  EXPECT_EQ(stat_of(pool.mount_point).st_mode & 07777U, 0711U);
  write(pool.mount_point + "/kept", "kept");
  ASSERT_TRUE(close_pool(pool));
  EXPECT_EQ(*pool_state(pool), PoolState::kUnmounted);
  if (grows()) pool.limit.bytes = 320 * kMib;
  ASSERT_TRUE(ensure_pool(pool));
  EXPECT_EQ(read(pool.mount_point + "/kept"), "kept");
  struct statvfs info{};
  ASSERT_EQ(::statvfs(pool.mount_point.c_str(), &info), 0);
  EXPECT_GT(info.f_blocks * info.f_frsize, (grows() ? 270 : 200) * kMib);
  ASSERT_TRUE(close_pool(pool));
}

TEST_F(QuotaTest, TheReserveIsFreedWhenTheDiskIsFullAndComesBack) {
  const std::string file = dir_ + "/disk.img";
  ASSERT_TRUE(loop_file::make(file, {64 * kMib, 0}));
  const std::string point = make_mount_point("disk");
  {
    const auto tree = loop_file::open(file);
    ASSERT_TRUE(tree) << tree.error().message();
    ASSERT_TRUE(mount::attach(tree->get(), point));
  }
  Reserve reserve(point + "/.reserve", 8 * kMib);
  auto state = reserve.look();
  ASSERT_TRUE(state) << state.error().message();
  EXPECT_TRUE(state->present);
  EXPECT_EQ(stat_of(point + "/.reserve").st_size, static_cast<off_t>(8 * kMib));
  {
    const auto dir = open_directory(point);
    ASSERT_TRUE(dir);
    (void)fill(dir->get());
  }
  state = reserve.look();
  ASSERT_TRUE(state);
  EXPECT_TRUE(state->full);
  EXPECT_FALSE(std::filesystem::exists(point + "/.reserve"));
  write(point + "/database", std::string(kMib, 'd'));
  state = reserve.look();
  ASSERT_TRUE(state);
  EXPECT_TRUE(state->full) << "still";
  std::filesystem::remove(point + "/fill");
  state = reserve.look();
  ASSERT_TRUE(state);
  EXPECT_TRUE(state->present);
  EXPECT_FALSE(state->full);
}

}  // namespace
}  // namespace panal::storage
