#include "engine/kernel/cgroup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/kernel/parent_limit.h"
#include "tests/unit/engine/kernel/fixture_tree.h"

namespace panal::kernel {
namespace {

using ::testing::ElementsAre;

const char* const kV2Mount = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
const char* const kV1Mounts =
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "36 31 0:33 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio\n"
    "34 31 0:31 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    "35 31 0:32 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n";
const char* const kV1Table =
    "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"
    "cpu\t1\t1\t1\ncpuacct\t1\t1\t1\nmemory\t4\t24\t1\nblkio\t6\t1\t1\npids\t8\t1\t1\nfreezer\t5\t1"
    "\t1\n"
    "net_cls\t0\t1\t0\n";

FixtureTree v2_tree() {
  return FixtureTree(
      {{"proc/self/mountinfo", kV2Mount},
       {"cgroup/cgroup.controllers", "cpuset cpu io memory pids\n"},
       {"cgroup/panal/d7/memory.current", "1000\n"},
       {"cgroup/panal/d7/memory.stat", "anon 600\nfile 300\nkernel 100\n"},
       {"cgroup/panal/d7/memory.swap.current", "50\n"},
       {"cgroup/panal/d7/memory.events", "low 0\noom 2\noom_kill 1\n"},
       {"cgroup/panal/d7/cpu.stat",
        "usage_usec 42\nuser_usec 1\nnr_throttled 2\nthrottled_usec 5\n"},
       {"cgroup/panal/d7/io.stat", "8:0 rbytes=100 wbytes=20 rios=3 wios=4 dbytes=0 dios=0\n"},
       {"cgroup/panal/d7/pids.current", "3\n"},
       {"cgroup/panal/d7/cgroup.procs", "11\n0\n12\n"},
       {"cgroup/panal/d7/cgroup.events", "populated 1\nfrozen 0\n"},
       {"cgroup/panal/d7/sub/cgroup.procs", "13\n"},
       {"cgroup/panal/d7/memory.max", "max\n"},
       {"cgroup/panal/d7/pids.max", ""},
       {"cgroup/panal/d7/cpu.weight", ""},
       {"cgroup/panal/d7/cpu.max", ""}});
}

FixtureTree v1_tree() {
  return FixtureTree({{"proc/self/mountinfo", kV1Mounts},
                      {"proc/cgroups", kV1Table},
                      {"cgroup/memory/panal/d7/memory.usage_in_bytes", "1000\n"},
                      {"cgroup/memory/panal/d7/memory.stat",
                       "cache 1\nrss 2\ntotal_cache 300\ntotal_rss 600\ntotal_swap 50\n"},
                      {"cgroup/memory/panal/d7/memory.kmem.usage_in_bytes", "100\n"},
                      {"cgroup/memory/panal/d7/memory.oom_control",
                       "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"},
                      {"cgroup/memory/panal/d7/memory.limit_in_bytes", "512\n"},
                      {"cgroup/memory/panal/d7/cgroup.procs", "11\n"},
                      {"cgroup/cpu,cpuacct/panal/d7/cpuacct.usage", "42000\n"},
                      {"cgroup/cpu,cpuacct/panal/d7/cpu.stat",
                       "nr_periods 9\nnr_throttled 2\nthrottled_time 5000\n"},
                      {"cgroup/blkio/panal/d7/blkio.throttle.io_service_bytes_recursive",
                       "8:0 Read 100\n8:0 Write 20\n8:0 Total 120\nTotal 120\n"},
                      {"cgroup/blkio/panal/d7/blkio.throttle.io_serviced_recursive",
                       "8:0 Read 3\n8:0 Write 4\n8:0 Total 7\nTotal 7\n"},
                      {"cgroup/cpu,cpuacct/panal/d7/cpu.shares", ""},
                      {"cgroup/cpu,cpuacct/panal/d7/cpu.cfs_period_us", ""},
                      {"cgroup/cpu,cpuacct/panal/d7/cpu.cfs_quota_us", ""},
                      {"cgroup/cpu,cpuacct/panal/d7/cgroup.procs", "11\n"},
                      {"cgroup/pids/panal/d7/pids.current", "3\n"},
                      {"cgroup/pids/panal/d7/pids.max", ""},
                      {"cgroup/pids/panal/d7/cgroup.procs", "12\n"},
                      {"cgroup/freezer/panal/d7/freezer.state", "THAWED\n"}});
}

TEST(CgroupLayout, KnowsTheHybridMachineItWasCapturedOn) {
  const auto tree = Tree::open_below(PANAL_SOURCE_DIR "/tests/fixtures/hybrid-6.18");
  ASSERT_TRUE(tree);
  const auto layout = read_cgroup_layout(*tree);
  ASSERT_TRUE(layout) << layout.error().message();
  EXPECT_EQ(layout->mode(), CgroupMode::kHybrid);
  EXPECT_EQ(layout->mounts.size(), 10U);
  ASSERT_NE(layout->v2(), nullptr);
  EXPECT_EQ(layout->v2()->directory, "unified");
  EXPECT_THAT(layout->v2()->controllers, ElementsAre("hugetlb"));
  ASSERT_NE(layout->with("memory"), nullptr);
  EXPECT_EQ(layout->with("memory")->version, 1);
  EXPECT_EQ(layout->with("perf_event"), nullptr);
  EXPECT_NE(layout->with("name=systemd"), nullptr);

  const auto root = CgroupRoot::open(*tree);
  ASSERT_TRUE(root) << root.error().message();
  const auto group = Cgroup::open(*root, "panal-fixture");
  ASSERT_TRUE(group) << group.error().message();
  const auto used = group->statistics();
  ASSERT_TRUE(used) << used.error().message();
  ASSERT_TRUE(used->memory && used->cpu && used->pids);
  EXPECT_GT(used->memory->anon_bytes, std::uint64_t{8} << 20) << "the process that was in it";
  EXPECT_LE(used->memory->anon_bytes, used->memory->usage_bytes);
  EXPECT_EQ(used->memory->limit_bytes, UINT64_MAX);
  EXPECT_EQ(used->memory->oom_kills, 0U);
  EXPECT_GT(used->cpu->usage_ns, 0U);
  EXPECT_GE(*used->pids, 1U);
  EXPECT_THAT(group->pids().value(), ElementsAre(42));
  const auto io = group->io();
  ASSERT_TRUE(io) << io.error().message();
  EXPECT_GE(io->written_bytes, std::uint64_t{1} << 20);
  const auto pressures = group->pressures();
  ASSERT_TRUE(pressures) << pressures.error().message();
  EXPECT_TRUE(pressures->cpu && pressures->memory && pressures->io);
}

TEST(CgroupLayout, KnowsAHostWithV1Alone) {
  const auto tree = Tree::open_below(PANAL_SOURCE_DIR "/tests/fixtures/v1-6.18");
  ASSERT_TRUE(tree);
  const auto root = CgroupRoot::open(*tree);
  ASSERT_TRUE(root) << root.error().message();
  EXPECT_EQ(root->layout().mode(), CgroupMode::kV1);
  const auto group = Cgroup::open(*root, "panal-fixture");
  ASSERT_TRUE(group) << group.error().message();
  const auto used = group->statistics();
  ASSERT_TRUE(used) << used.error().message();
  ASSERT_TRUE(used->memory && used->cpu && used->pids);
  EXPECT_GT(used->memory->anon_bytes, std::uint64_t{8} << 20);
  EXPECT_EQ(group->pressures().value(), PressureSet{}) << "pressure of groups is v2's";
  const auto trigger = group->pressure_trigger(PressureResource::kMemory, {});
  ASSERT_FALSE(trigger);
  EXPECT_EQ(trigger.error().code, ENOTSUP);
}

TEST(CgroupLayout, KnowsAHostWithV2Alone) {
  const auto tree = Tree::open_below(PANAL_SOURCE_DIR "/tests/fixtures/v2-6.1");
  ASSERT_TRUE(tree);
  const auto root = CgroupRoot::open(*tree);
  ASSERT_TRUE(root) << root.error().message();
  EXPECT_EQ(root->layout().mode(), CgroupMode::kV2);
  const auto group = Cgroup::open(*root, "panal-fixture");
  ASSERT_TRUE(group) << group.error().message();
  const auto used = group->statistics();
  ASSERT_TRUE(used) << used.error().message();
  ASSERT_TRUE(used->memory && used->cpu && used->pids);
  EXPECT_GT(used->memory->anon_bytes, std::uint64_t{8} << 20);
  EXPECT_GT(used->memory->kernel_bytes, 0U);
  EXPECT_LE(used->memory->anon_bytes + used->memory->kernel_bytes, used->memory->usage_bytes);
  EXPECT_EQ(used->memory->limit_bytes, UINT64_MAX);
  EXPECT_GT(used->cpu->usage_ns, 0U);
  EXPECT_THAT(group->pids().value(), ElementsAre(42));
  const auto io = group->io();
  ASSERT_TRUE(io) << io.error().message();
  EXPECT_GE(io->written_bytes, std::uint64_t{1} << 20);
  const auto pressures = group->pressures();
  ASSERT_TRUE(pressures) << pressures.error().message();
  EXPECT_TRUE(pressures->cpu && pressures->memory && pressures->io);
}

TEST(CgroupLayout, TellsV1AndV2Apart) {
  const auto v1 = parse_cgroup_layout(kV1Mounts, kV1Table);
  ASSERT_TRUE(v1);
  EXPECT_EQ(v1->mode(), CgroupMode::kV1);
  EXPECT_EQ(v1->mounts.size(), 5U);
  EXPECT_EQ(v1->with("cpu"), v1->with("cpuacct"));
  const auto v2 = parse_cgroup_layout(kV2Mount, "");
  ASSERT_TRUE(v2);
  EXPECT_EQ(v2->mode(), CgroupMode::kV2);
  EXPECT_EQ(v2->v2()->directory, ".");
}

TEST(CgroupLayout, CountsAHierarchyOnceAndTheCoveringMountLast) {
  const auto twice =
      parse_cgroup_layout(std::string(kV1Mounts) +
                              "40 31 0:30 / /sys/fs/cgroup/again rw - cgroup cgroup rw,memory\n"
                              "41 31 0:30 / /elsewhere rw - cgroup cgroup rw,memory\n"
                              "42 31 0:99 / /sys/fs/cgroup/pids rw - cgroup2 cgroup2 rw\n",
                          kV1Table);
  ASSERT_TRUE(twice);
  EXPECT_EQ(twice->with("memory")->directory, "memory");
  EXPECT_EQ(twice->with("pids"), nullptr) << "the v2 mount covers it";
  EXPECT_EQ(twice->mounts.size(), 5U);
}

TEST(CgroupLayout, RefusesWhatIsNoLayout) {
  const auto none = parse_cgroup_layout("1 0 0:1 / / rw - ext4 x rw\n", "");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ENODEV);
  for (const char* table : {"memory", "memory 1 1", "memory 1 1 x", "memory 1 1 -1"}) {
    const auto broken = parse_cgroup_layout(kV2Mount, table);
    ASSERT_FALSE(broken) << table;
    EXPECT_EQ(broken.error().code, EPROTO) << table;
  }
}

TEST(Cgroup, ReadsTheSameFiguresOnBothVersions) {
  for (const bool v2 : {false, true}) {
    const FixtureTree fixture = v2 ? v2_tree() : v1_tree();
    const Tree tree = fixture.tree();
    const auto root = CgroupRoot::open(tree);
    ASSERT_TRUE(root) << root.error().message();
    const auto group = Cgroup::open(*root, "panal/d7");
    ASSERT_TRUE(group) << group.error().message();
    const auto used = group->statistics();
    ASSERT_TRUE(used) << used.error().message();
    EXPECT_EQ(used->memory->usage_bytes, 1000U);
    EXPECT_EQ(used->memory->anon_bytes, 600U);
    EXPECT_EQ(used->memory->file_bytes, 300U);
    EXPECT_EQ(used->memory->kernel_bytes, 100U);
    EXPECT_EQ(used->memory->swap_bytes, 50U);
    EXPECT_EQ(used->memory->oom_kills, 1U);
    EXPECT_EQ(used->memory->limit_bytes, v2 ? UINT64_MAX : 512U);
    EXPECT_EQ(used->cpu->usage_ns, 42000U);
    EXPECT_EQ(used->cpu->throttled_periods, 2U);
    EXPECT_EQ(used->cpu->throttled_ns, 5000U);
    EXPECT_EQ(group->memory_usage().value_or(0), 1000U);
    EXPECT_EQ(group->io().value_or(IoStatistics{}), (IoStatistics{100, 20, 3, 4}));
    EXPECT_EQ(used->pids, 3U);
    EXPECT_EQ(group->populated().value_or(false), true);
  }
}

TEST(Cgroup, ListsPidsOfAllHierarchiesAndGroupsBelow) {
  const FixtureTree v2 = v2_tree();
  const Tree tree2 = v2.tree();
  EXPECT_THAT(Cgroup::open(*CgroupRoot::open(tree2), "panal/d7")->pids().value(),
              ElementsAre(11, 12, 13));
  const FixtureTree v1 = v1_tree();
  const Tree tree1 = v1.tree();
  EXPECT_THAT(Cgroup::open(*CgroupRoot::open(tree1), "panal/d7")->pids().value(),
              ElementsAre(11, 12));
}

TEST(Cgroup, WritesTheKnobsOfItsVersion) {
  Limits limits;
  limits.memory_bytes = 4096;
  limits.pids = 99;
  limits.cpu_weight = 200;
  limits.cpu_quota_permille = 1500;
  const FixtureTree v2 = v2_tree();
  const Tree tree2 = v2.tree();
  ASSERT_TRUE(Cgroup::open(*CgroupRoot::open(tree2), "panal/d7")->set_limits(limits));
  EXPECT_EQ(v2.read("cgroup/panal/d7/memory.max"), "4096");
  EXPECT_EQ(v2.read("cgroup/panal/d7/pids.max"), "99");
  EXPECT_EQ(v2.read("cgroup/panal/d7/cpu.weight"), "200");
  EXPECT_EQ(v2.read("cgroup/panal/d7/cpu.max"), "150000 100000");
  const FixtureTree v1 = v1_tree();
  const Tree tree1 = v1.tree();
  ASSERT_TRUE(Cgroup::open(*CgroupRoot::open(tree1), "panal/d7")->set_limits(limits));
  EXPECT_EQ(v1.read("cgroup/memory/panal/d7/memory.limit_in_bytes"), "4096");
  EXPECT_EQ(v1.read("cgroup/cpu,cpuacct/panal/d7/cpu.shares"), "2048");
  EXPECT_EQ(v1.read("cgroup/cpu,cpuacct/panal/d7/cpu.cfs_quota_us"), "150000");
  EXPECT_EQ(v1.read("cgroup/cpu,cpuacct/panal/d7/cpu.cfs_period_us"), "100000");
}

TEST(Cgroup, TellsWhoWasAskedToStand) {
  for (const bool v2 : {false, true}) {
    const FixtureTree fixture = v2 ? v2_tree() : v1_tree();
    const Tree tree = fixture.tree();
    const std::string knob =
        v2 ? "cgroup/panal/d7/cgroup.freeze" : "cgroup/freezer/panal/d7/freezer.state";
    const auto group = Cgroup::open(*CgroupRoot::open(tree), "panal/d7");
    ASSERT_TRUE(group) << group.error().message();
    const auto stands = [&](const char* text) {
      fixture.write(knob, text);
      const auto asked = group->asked_to_freeze();
      EXPECT_TRUE(asked) << text;
      return asked.value_or(false);
    };
    EXPECT_FALSE(stands(v2 ? "0\n" : "THAWED\n"));
    EXPECT_TRUE(stands(v2 ? "1\n" : "FREEZING\n"));
    EXPECT_TRUE(stands(v2 ? "1\n" : "FROZEN\n"));
  }
}

TEST(Cgroup, RefusesPathsThatLeaveTheHierarchy) {
  const FixtureTree fixture = v2_tree();
  const Tree tree = fixture.tree();
  const auto root = CgroupRoot::open(tree);
  ASSERT_TRUE(root);
  for (const char* path : {"", "/panal", "panal/", "../x", "panal/../..", "a//b", "."}) {
    const auto group = Cgroup::open(*root, path);
    ASSERT_FALSE(group) << path;
    EXPECT_EQ(group.error().code, EINVAL) << path;
  }
  const auto absent = Cgroup::open(*root, "panal/d8");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ENOENT);
}

TEST(Cgroup, LeavesSubtreeControlAloneWhereItHasAllThatIsNeeded) {
  const FixtureTree fixture({{"proc/self/mountinfo", kV2Mount},
                             {"cgroup/cgroup.controllers", "cpuset cpu io memory pids misc\n"},
                             {"cgroup/cgroup.subtree_control", "cpu io memory pids\n"},
                             {"cgroup/given/cgroup.controllers", "memory pids\n"},
                             {"cgroup/given/cgroup.subtree_control", "memory\n"},
                             {"cgroup/given/panal/cgroup.procs", ""}});
  const Tree tree = fixture.tree();
  const auto made = Cgroup::create(*CgroupRoot::open(tree), "given/panal");
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(fixture.read("cgroup/cgroup.subtree_control"), "cpu io memory pids\n");
  EXPECT_THAT(fixture.read("cgroup/given/cgroup.subtree_control"), ::testing::StartsWith("+pids"));
}

TEST(Cgroup, SaysWhichControllerIsMissing) {
  const FixtureTree fixture({{"proc/self/mountinfo", kV2Mount},
                             {"cgroup/cgroup.controllers", "\n"},
                             {"cgroup/g/cgroup.procs", ""}});
  const Tree tree = fixture.tree();
  const auto group = Cgroup::open(*CgroupRoot::open(tree), "g");
  ASSERT_TRUE(group);
  Limits limits;
  limits.memory_bytes = 1;
  const auto done = group->set_limits(limits);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ENOTSUP);
  EXPECT_THAT(done.error().context, ::testing::HasSubstr("memory"));
}

constexpr std::uint64_t kGib = std::uint64_t{1} << 30;
constexpr std::uint64_t kMib = std::uint64_t{1} << 20;

ParentLimitInput host_of(std::uint64_t total_gib) {
  ParentLimitInput input;
  input.host.total = total_gib * kGib;
  input.host.free = input.host.total;
  return input;
}

TEST(ParentLimit, IsWhatTheReserveZramAndTheKernelLeave) {
  struct Case {
    const char* what;
    std::uint64_t reserve, zram, kernel, charged, expected;
  };
  for (const Case& c : {Case{"idle host", kGib, 0, 0, 0, 23 * kGib},
                        Case{"zram takes its share", kGib, 2 * kGib, 0, 0, 21 * kGib},
                        Case{"kernel memory of nobody", kGib, 0, kGib, 0, 22 * kGib},
                        Case{"kernel memory the group pays for", kGib, 0, kGib, kGib, 23 * kGib},
                        Case{"half of it", kGib, 0, kGib, kGib / 2, 22 * kGib + kGib / 2},
                        Case{"charged more than seen", kGib, 0, kGib, 4 * kGib, 23 * kGib},
                        Case{"reserve beyond RAM", 30 * kGib, 0, 0, 0, 256 * kMib},
                        Case{"zram fills it", kGib, 23 * kGib, 0, 0, 256 * kMib}}) {
    ParentLimitInput input = host_of(24);
    input.host.free -= c.kernel + c.zram;
    input.reserve_bytes = c.reserve;
    input.zram_bytes = c.zram;
    input.charged_kernel_bytes = c.charged;
    EXPECT_EQ(parent_limit_bytes(input), c.expected) << c.what;
  }
}

TEST(ParentLimit, DoesNotTakeUsersMemoryForTheKernels) {
  ParentLimitInput input = host_of(24);
  input.host.free = kGib;
  input.host.anon = 15 * kGib;
  input.host.cached = 7 * kGib;
  input.host.slab_reclaimable = kGib;
  EXPECT_EQ(uncharged_kernel_bytes(input), 0U);
}

TEST(ParentLimit, ReserveHasAFloor) {
  EXPECT_EQ(default_reserve_bytes(4 * kGib), kGib);
  EXPECT_EQ(default_reserve_bytes(100 * kGib), 10 * kGib);
}

TEST(ParentLimit, LeavesSmallMovesAlone) {
  FixtureTree fixture = v1_tree();
  const auto host = [&](std::uint64_t free_kib) {
    fixture.write("proc/meminfo", "MemTotal: 8388608 kB\nMemFree: " + std::to_string(free_kib) +
                                      " kB\nMemAvailable: 8000000 kB\n");
  };
  host(8388608);
  const Tree tree = fixture.tree();
  ParentLimit limit(tree, std::move(*Cgroup::open(*CgroupRoot::open(tree), "panal/d7")), kGib, 0);
  const std::string knob = "cgroup/memory/panal/d7/memory.limit_in_bytes";
  ASSERT_EQ(limit.update().value_or(0), 7 * kGib);
  EXPECT_EQ(fixture.read(knob), std::to_string(7 * kGib));
  host(8388608 - 2048);
  EXPECT_EQ(limit.update().value_or(0), 7 * kGib);
  host(8388608 - 102400);
  EXPECT_LT(limit.update().value_or(0), 7 * kGib - 90 * kMib);

  ParentLimit fixed(tree, std::move(*Cgroup::open(*CgroupRoot::open(tree), "panal/d7")), kGib,
                    kMib);
  EXPECT_EQ(fixed.update().value_or(0), kMib);
}

}  // namespace
}  // namespace panal::kernel
