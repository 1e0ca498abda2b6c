// A class's limits on a real group that uses more than they allow.
#include "runtime/optimiser/class_limits.h"

#include "engine/kernel/block_device.h"
#include "tests/system/kernel/machine/memory_child.h"
#include "tests/system/kernel/real_cgroup.h"

namespace panal::optimiser {
namespace {

using kernel::MemoryChild;
using kernel::Pages;

constexpr std::uint64_t kMib = std::uint64_t{1} << 20;

class RealClassLimits : public kernel::RealCgroup {};

TEST_F(RealClassLimits, ALimitBelowWhatIsUsedKillsNobodyAndFollowsItDown) {
  const kernel::Cgroup group = make();
  Limits wide;
  wide.memory_bytes = 512 * kMib;
  ASSERT_TRUE(group.set_limits(wide));
  Limits narrow;
  narrow.memory_bytes = 32 * kMib;
  narrow.memory_soft_bytes = 16 * kMib;
  narrow.pids = 20;
  {
    const MemoryChild large(group, 96 * kMib, Pages::kDistinct);
    const auto set = set_class_limits(group, narrow);
    ASSERT_TRUE(set) << set.error().message();
    EXPECT_FALSE(set->complete);
    EXPECT_EQ(set->refused, "");
    EXPECT_THAT(set->why, ::testing::HasSubstr("its class may have 32 MiB"));
    const auto limit = group.memory_limit();
    ASSERT_TRUE(limit);
    EXPECT_GE(*limit, 96 * kMib);
    EXPECT_LT(*limit, 160 * kMib) << "but not for more than it has";
    EXPECT_TRUE(large.touch());
    EXPECT_EQ(group.statistics()->memory->oom_kills, 0U);
  }
  const MemoryChild small(group, 4 * kMib, Pages::kDistinct);
  const auto set = set_class_limits(group, narrow);
  ASSERT_TRUE(set) << set.error().message();
  EXPECT_TRUE(set->complete) << set->why;
  EXPECT_EQ(group.memory_limit().value_or(0), 32 * kMib);
  Limits none;
  none.memory_bytes = 512 * kMib;
  none.memory_soft_bytes = kUnlimited;
  const auto back = set_class_limits(group, none);
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->complete) << back->why;
  EXPECT_EQ(group.memory_limit().value_or(0), 512 * kMib);
  EXPECT_TRUE(small.touch());
}

TEST_F(RealClassLimits, TheKernelTakesEachOfThem) {
  const kernel::Cgroup group = make();
  Limits all;
  all.memory_bytes = 64 * kMib;
  all.memory_soft_bytes = 32 * kMib;
  all.swapping = Swapping::kNever;
  all.pids = 20;
  all.cpu_weight = 25;
  all.cpu_quota_permille = 500;
  all.io_weight = 25;
  for (const Swapping swapping : {Swapping::kNever, Swapping::kLast, Swapping::kUsual}) {
    all.swapping = swapping;
    const auto set = set_class_limits(group, all);
    ASSERT_TRUE(set) << set.error().message();
    EXPECT_TRUE(set->complete) << set->why;
    EXPECT_EQ(set->refused, "");
  }
  all.io = IoLimit{"4095:1048575", 1 << 20, 1 << 20};
  const auto set = set_class_limits(group, all);
  ASSERT_TRUE(set);
  EXPECT_NE(set->refused, "") << "there is no such disk";
  EXPECT_TRUE(set->complete);
}

TEST_F(RealClassLimits, ALimitOnARealDiskIsSetAndTakenAway) {
  const auto disk = kernel::whole_disk_of(tree_, ::testing::TempDir());
  if (!disk) GTEST_SKIP() << "no disk of its own below " << disk.error().message();
  const kernel::Cgroup group = make();
  Limits limits;
  for (const std::uint64_t speed : {std::uint64_t{9} << 20, std::uint64_t{0}}) {
    limits.io = IoLimit{*disk, speed, speed};
    const auto set = set_class_limits(group, limits);
    ASSERT_TRUE(set) << set.error().message();
    EXPECT_EQ(set->refused, "");
    for (const auto& hierarchy : root_.hierarchies()) {
      const bool v1 = hierarchy.mount.has("blkio");
      if (!v1 && !hierarchy.mount.has("io")) continue;
      const auto text =
          hierarchy.dir.read(path_ + (v1 ? "/blkio.throttle.write_bps_device" : "/io.max"));
      ASSERT_TRUE(text) << text.error().message();
      EXPECT_EQ(text->find(std::to_string(9 << 20)) != std::string::npos, speed > 0) << *text;
    }
  }
}

}  // namespace
}  // namespace panal::optimiser
