#include <gtest/gtest.h>

#include "engine/kernel/block_device.h"
#include "engine/kernel/cgroup.h"
#include "tests/unit/engine/kernel/fixture_tree.h"

namespace panal::kernel {
namespace {

constexpr std::uint64_t kOneMib = std::uint64_t{1} << 20;
constexpr const char* kV1 =
    "31 1 0:29 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
    "32 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "33 31 0:31 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio\n";
constexpr const char* kV1Controllers =
    "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t1\t1\t1\nblkio\t2\t1\t1\n";
constexpr const char* kV2 = "31 1 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

FixtureFiles v1_files() {
  return {{"proc/self/mountinfo", kV1},
          {"proc/cgroups", kV1Controllers},
          {"cgroup/memory/panal/memory.swappiness", "60\n"},
          {"cgroup/memory/panal/d7/memory.swappiness", ""},
          {"cgroup/memory/panal/d7/memory.limit_in_bytes", ""},
          {"cgroup/memory/panal/d7/memory.soft_limit_in_bytes", ""},
          {"cgroup/memory/panal/d7/memory.memsw.limit_in_bytes", "9223372036854771712\n"},
          {"cgroup/memory/panal/d7/memory.memsw.usage_in_bytes", "3000\n"},
          {"cgroup/blkio/panal/d7/blkio.bfq.weight", ""},
          {"cgroup/blkio/panal/d7/blkio.throttle.read_bps_device", ""},
          {"cgroup/blkio/panal/d7/blkio.throttle.write_bps_device", ""}};
}

FixtureFiles v2_files() {
  return {{"proc/self/mountinfo", kV2},
          {"cgroup/cgroup.controllers", "io memory\n"},
          {"cgroup/panal/d7/cgroup.controllers", "io memory\n"},
          {"cgroup/panal/d7/memory.max", ""},
          {"cgroup/panal/d7/memory.high", ""},
          {"cgroup/panal/d7/memory.low", ""},
          {"cgroup/panal/memory.low", ""},
          {"cgroup/panal/cgroup.controllers", "io memory\n"},
          {"cgroup/panal/d7/memory.swap.max", ""},
          {"cgroup/panal/d7/memory.current", "2000\n"},
          {"cgroup/panal/d7/memory.swap.current", "500\n"},
          {"cgroup/panal/d7/io.weight", ""},
          {"cgroup/panal/d7/io.max", ""}};
}

Limits all() {
  Limits limits;
  limits.memory_bytes = 512 * kOneMib;
  limits.memory_soft_bytes = 128 * kOneMib;
  limits.swapping = Swapping::kNever;
  limits.io_weight = 25;
  limits.io = IoLimit{"254:0", 0, 8 * kOneMib};
  return limits;
}

TEST(CgroupLimits, OfMemoryAndDisksOnV1) {
  const FixtureTree files(v1_files());
  const Tree tree = files.tree();
  const auto group = Cgroup::open(*CgroupRoot::open(tree), "panal/d7");
  ASSERT_TRUE(group) << group.error().message();
  const auto set = group->set_limits(all());
  ASSERT_TRUE(set) << set.error().message();
  const std::string memory = "cgroup/memory/panal/d7/memory.";
  EXPECT_EQ(files.read(memory + "limit_in_bytes"), std::to_string(512 * kOneMib));
  EXPECT_EQ(files.read(memory + "soft_limit_in_bytes"), std::to_string(128 * kOneMib));
  EXPECT_EQ(files.read(memory + "swappiness"), "0");
  EXPECT_EQ(files.read("cgroup/blkio/panal/d7/blkio.bfq.weight"), "25");
  EXPECT_EQ(files.read("cgroup/blkio/panal/d7/blkio.throttle.read_bps_device"), "254:0 0");
  EXPECT_EQ(files.read("cgroup/blkio/panal/d7/blkio.throttle.write_bps_device"), "254:0 8388608");
  EXPECT_EQ(group->memory_with_swap().value_or(0), 3000U);
  Limits none;
  none.swapping = Swapping::kUsual;
  ASSERT_TRUE(group->set_limits(none));
  EXPECT_EQ(files.read(memory + "swappiness"), "60") << "the parent's";
  none.swapping = Swapping::kLast;
  ASSERT_TRUE(group->set_limits(none));
  EXPECT_EQ(files.read(memory + "swappiness"), "10");
  EXPECT_TRUE(group->protect(4096)) << "nothing to do";
}

TEST(CgroupLimits, V1RaisesTheLimitWithSwapFirst) {
  auto some = v1_files();
  some["cgroup/memory/panal/d7/memory.memsw.limit_in_bytes"] = "104857600";
  const FixtureTree files(some);
  const Tree tree = files.tree();
  const auto group = Cgroup::open(*CgroupRoot::open(tree), "panal/d7");
  Limits more;
  more.memory_bytes = 512 * kOneMib;
  ASSERT_TRUE(group->set_limits(more));
  EXPECT_EQ(files.read("cgroup/memory/panal/d7/memory.memsw.limit_in_bytes"),
            std::to_string(512 * kOneMib));
  Limits less;
  less.memory_bytes = 256 * kOneMib;
  ASSERT_TRUE(group->set_limits(less));
  EXPECT_EQ(files.read("cgroup/memory/panal/d7/memory.memsw.limit_in_bytes"),
            std::to_string(512 * kOneMib))
      << "on the way down it is left";
  EXPECT_EQ(group->memory_limit().value_or(0), 256 * kOneMib);
}

TEST(CgroupLimits, OfMemoryAndDisksOnV2) {
  const FixtureTree files(v2_files());
  const Tree tree = files.tree();
  const auto group = Cgroup::open(*CgroupRoot::open(tree), "panal/d7");
  ASSERT_TRUE(group) << group.error().message();
  const auto set = group->set_limits(all());
  ASSERT_TRUE(set) << set.error().message();
  EXPECT_EQ(files.read("cgroup/panal/d7/memory.max"), std::to_string(512 * kOneMib));
  EXPECT_EQ(files.read("cgroup/panal/d7/memory.high"), std::to_string(128 * kOneMib));
  EXPECT_EQ(files.read("cgroup/panal/d7/memory.swap.max"), "0");
  EXPECT_EQ(files.read("cgroup/panal/d7/memory.low"), "0");
  EXPECT_EQ(files.read("cgroup/panal/d7/io.weight"), "default 25");
  EXPECT_EQ(files.read("cgroup/panal/d7/io.max"), "254:0 rbps=max wbps=8388608");
  EXPECT_EQ(group->memory_with_swap().value_or(0), 2500U);
}

TEST(CgroupLimits, WhoIsTakenFromLastOnV2) {
  auto some = v2_files();
  const FixtureTree files(some);
  const Tree tree = files.tree();
  const auto root = CgroupRoot::open(tree);
  const auto group = Cgroup::open(*root, "panal/d7");
  Limits limits;
  limits.swapping = Swapping::kLast;
  ASSERT_TRUE(group->set_limits(limits));
  EXPECT_EQ(files.read("cgroup/panal/d7/memory.low"), "max");
  EXPECT_EQ(files.read("cgroup/panal/d7/memory.swap.max"), "max");
  const auto parent = Cgroup::open(*root, "panal");
  ASSERT_TRUE(parent);
  ASSERT_TRUE(parent->protect(30 * kOneMib));
  EXPECT_EQ(files.read("cgroup/panal/memory.low"), std::to_string(30 * kOneMib));
  limits.swapping = Swapping::kUsual;
  files.write("cgroup/panal/d7/memory.low", "");
  ASSERT_TRUE(group->set_limits(limits));
  EXPECT_EQ(files.read("cgroup/panal/d7/memory.low"), "0");
}

TEST(CgroupLimits, WeightsOfDisksGoToTheSchedulersThatThereAre) {
  struct {
    FixtureFiles files;
    std::string without;  ///< file that this kernel has not got
    std::string with;     ///< the one it has instead
    std::string weight25, weight10000;
  } const cases[] = {
      {v1_files(), "cgroup/blkio/panal/d7/blkio.bfq.weight", "cgroup/blkio/panal/d7/blkio.weight",
       "125", "1000"},
      {v2_files(), "cgroup/panal/d7/io.weight", "cgroup/panal/d7/io.bfq.weight", "25", "1000"},
  };
  for (const auto& one : cases) {
    FixtureFiles some = one.files;
    some.erase(one.without);
    some[one.with] = "";
    const FixtureTree files(some);
    const Tree tree = files.tree();
    const auto group = Cgroup::open(*CgroupRoot::open(tree), "panal/d7");
    ASSERT_TRUE(group) << group.error().message();
    Limits limits;
    for (const auto& [weight, wanted] :
         {std::pair{25U, one.weight25}, std::pair{10'000U, one.weight10000}}) {
      limits.io_weight = weight;
      const auto set = group->set_limits(limits);
      ASSERT_TRUE(set) << set.error().message();
      EXPECT_EQ(files.read(one.with), wanted);
    }
    // Neither: a kernel without such a scheduler weighs nothing, and says nothing.
    some.erase(one.with);
    const FixtureTree bare(some);
    const Tree bare_tree = bare.tree();
    EXPECT_TRUE(Cgroup::open(*CgroupRoot::open(bare_tree), "panal/d7")->set_limits(limits));
  }
}

TEST(CgroupLimits, ALimitOfDisksIsTakenAwayAgain) {
  Limits limits;
  limits.io = IoLimit{"254:0", 0, 0};
  const FixtureTree v1(v1_files());
  const Tree tree1 = v1.tree();
  ASSERT_TRUE(Cgroup::open(*CgroupRoot::open(tree1), "panal/d7")->set_limits(limits));
  EXPECT_EQ(v1.read("cgroup/blkio/panal/d7/blkio.throttle.write_bps_device"), "254:0 0");
  const FixtureTree v2(v2_files());
  const Tree tree2 = v2.tree();
  ASSERT_TRUE(Cgroup::open(*CgroupRoot::open(tree2), "panal/d7")->set_limits(limits));
  EXPECT_EQ(v2.read("cgroup/panal/d7/io.max"), "254:0 rbps=max wbps=max");
  // Without the controller it is an error: who asked for it shall know.
  FixtureFiles none = v2_files();
  none["cgroup/cgroup.controllers"] = "memory\n";
  none["cgroup/panal/d7/cgroup.controllers"] = "memory\n";
  const FixtureTree without(none);
  const Tree tree3 = without.tree();
  const auto refused = Cgroup::open(*CgroupRoot::open(tree3), "panal/d7")->set_limits(limits);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOTSUP);
}

TEST(CgroupLimits, NoneIsAWordOfItsOwn) {
  Limits none;
  none.memory_bytes = kUnlimited;
  none.memory_soft_bytes = kUnlimited;
  const FixtureTree v1(v1_files());
  const Tree tree1 = v1.tree();
  ASSERT_TRUE(Cgroup::open(*CgroupRoot::open(tree1), "panal/d7")->set_limits(none));
  EXPECT_EQ(v1.read("cgroup/memory/panal/d7/memory.limit_in_bytes"), "-1");
  EXPECT_EQ(v1.read("cgroup/memory/panal/d7/memory.soft_limit_in_bytes"), "-1");
  const FixtureTree v2(v2_files());
  const Tree tree2 = v2.tree();
  const auto group = Cgroup::open(*CgroupRoot::open(tree2), "panal/d7");
  ASSERT_TRUE(group->set_limits(none));
  EXPECT_EQ(v2.read("cgroup/panal/d7/memory.max"), "max");
  EXPECT_EQ(group->memory_limit().value_or(0), kUnlimited);
}

TEST(BlockDevice, APartitionsDiskIsTheOneThatHasLimits) {
  const FixtureTree files({{"sys/dev/block/254:0/dev", "254:0\n"},
                           {"sys/dev/block/8:0/dev", "8:0\n"},
                           {"sys/devices/sda/dev", "8:0\n"},
                           {"sys/devices/sda/sda1/dev", "8:1\n"},
                           {"sys/devices/sda/sda1/partition", "1\n"}});
  std::filesystem::create_symlink("../../devices/sda/sda1",
                                  std::filesystem::path(files.path()) / "sys/dev/block/8:1");
  const Tree tree = files.tree();
  EXPECT_EQ(whole_disk(tree, "254:0").value_or(""), "254:0");
  EXPECT_EQ(whole_disk(tree, "8:1").value_or(""), "8:0");
  const auto none = whole_disk(tree, "0:42");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ENODEV);
}

}  // namespace
}  // namespace panal::kernel
