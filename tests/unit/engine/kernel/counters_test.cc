#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/kernel/cgroup_stat.h"
#include "engine/kernel/cpu_times.h"
#include "engine/kernel/flat_keyed.h"
#include "engine/kernel/io_stat.h"
#include "engine/kernel/swaps.h"
#include "engine/kernel/vmstat.h"
#include "tests/unit/engine/kernel/fixture_tree.h"
#include "tests/unit/engine/kernel/result_code.h"

namespace panal::kernel {
namespace {

using ::testing::HasSubstr;

TEST(FlatKeyed, RefusesMalformedText) {
  EXPECT_EQ(find_flat_keyed("a 1\nb 2\n", "b").value(), 2U);
  EXPECT_EQ(find_flat_keyed("a 1\nb 2\n", "c").value(), std::nullopt);
  EXPECT_EQ(find_flat_keyed("a 1\n\na 3\n", "a").value(), 3U);
  EXPECT_TRUE(find_flat_keyed("", "a"));
  for (const char* text : {"a", "a 1 2", "a b", "a -1", "a 1\nb", "a 99999999999999999999"})
    EXPECT_EQ(code(find_flat_keyed(text, "a")), EPROTO) << text;
}

TEST(Vmstat, AddsWhatTheKernelCountsInParts) {
  const auto counters = parse_vmstat(
      "nr_free_pages 7\nworkingset_refault_anon 1\nworkingset_refault_file 2\npswpin 3\npswpout 4\n"
      "pgmajfault 5\npgsteal_kswapd 10\npgsteal_direct 20\npgsteal_khugepaged 30\n"
      "pgsteal_proactive 40\npgscan_kswapd 100\npgscan_direct 200\npgscan_khugepaged 300\n"
      "pgscan_proactive 400\npgscan_direct_throttle 9\npgscan_anon 9\npgsteal_file 9\n"
      "oom_kill 6\nksm_swpin_copy 7\ncow_ksm 8\n");
  ASSERT_TRUE(counters) << counters.error().message();
  EXPECT_EQ(*counters, (VmCounters{.refault_anon = 1,
                                   .refault_file = 2,
                                   .swap_in = 3,
                                   .swap_out = 4,
                                   .cow_ksm = 8,
                                   .ksm_swpin_copy = 7,
                                   .scan = 1000,
                                   .steal = 100,
                                   .scan_direct = 200,
                                   .steal_direct = 20,
                                   .major_faults = 5,
                                   .oom_kills = 6}));
}

TEST(Vmstat, KnowsOlderKernelsAndRefusesMalformedText) {
  const auto old = parse_vmstat("workingset_refault 12\n");
  ASSERT_TRUE(old);
  EXPECT_EQ(old->refault_file, 12U);
  EXPECT_TRUE(parse_vmstat(""));
  for (const char* text : {"pswpin", "pswpin x", "pswpin -1", "pswpin 1 2"})
    EXPECT_EQ(code(parse_vmstat(text)), EPROTO) << text;
}

TEST(MemoryStat, TakesTheSumsOfV1) {
  MemoryStatistics memory;
  ASSERT_TRUE(
      parse_memory_stat("cache 1\nrss 1\nhierarchical_memory_limit 9223372036854771712\n"
                        "total_cache 20\ntotal_rss 30\ntotal_shmem 4\ntotal_swap 5\n"
                        "swapcached 1\ntotal_swapcached 10\n"
                        "inactive_anon 1\ntotal_inactive_anon 21\ntotal_active_anon 20\n"
                        "total_workingset_refault_anon 6\ntotal_workingset_refault_file 7\n"
                        "total_pgmajfault 8\ntotal_unevictable 9\n",
                        1, memory));
  ASSERT_TRUE(parse_memory_events("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", 1, memory));
  EXPECT_EQ(memory, (MemoryStatistics{.anon_bytes = 30,
                                      .file_bytes = 20,
                                      .shmem_bytes = 4,
                                      .swap_bytes = 5,
                                      .swap_cached_bytes = 10,
                                      .anon_lists_bytes = 41,
                                      .unevictable_bytes = 9,
                                      .refault_anon_pages = 6,
                                      .refault_file_pages = 7,
                                      .major_faults = 8,
                                      .oom_kills = 3}));
}

TEST(MemoryStat, OfTheSwapCacheWhatIsInNoTablesIsUnused) {
  MemoryStatistics memory{.anon_bytes = 30, .shmem_bytes = 4, .swap_cached_bytes = 10};
  EXPECT_EQ(memory.unused_swap_cache_bytes(), 0U) << "a kernel that does not tell";
  memory.anon_lists_bytes = 41;
  EXPECT_EQ(memory.unused_swap_cache_bytes(), 7U) << "three are in tables, only read since";
  memory.anon_lists_bytes = 60;
  EXPECT_EQ(memory.unused_swap_cache_bytes(), 10U);
  memory.anon_lists_bytes = 20;
  EXPECT_EQ(memory.unused_swap_cache_bytes(), 0U);
}

TEST(MemoryStat, ReadsV2AndAddsTheKernelPartsOfOlderOnes) {
  MemoryStatistics memory;
  ASSERT_TRUE(parse_memory_stat(
      "anon 30\nfile 20\nswapcached 11\nkernel 100\nkernel_stack 60\nslab 40\nshmem 4\n"
      "unevictable 9\nworkingset_refault_anon 6\n"
      "workingset_refault_file 7\npgmajfault 8\n",
      2, memory));
  ASSERT_TRUE(parse_memory_events("low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\noom_group_kill 0\n", 2,
                                  memory));
  EXPECT_EQ(memory, (MemoryStatistics{.anon_bytes = 30,
                                      .file_bytes = 20,
                                      .shmem_bytes = 4,
                                      .swap_cached_bytes = 11,
                                      .kernel_bytes = 100,
                                      .unevictable_bytes = 9,
                                      .refault_anon_pages = 6,
                                      .refault_file_pages = 7,
                                      .major_faults = 8,
                                      .oom_kills = 4,
                                      .ooms = 3,
                                      .limit_hits = 2,
                                      .high_hits = 1}));
  MemoryStatistics old;
  ASSERT_TRUE(parse_memory_stat("anon 1\nkernel_stack 60\npagetables 5\nslab 40\n", 2, old));
  EXPECT_EQ(old.kernel_bytes, 105U);
}

TEST(MemoryStat, RefusesMalformedText) {
  for (const int version : {1, 2}) {
    for (const char* text : {"anon", "anon x", "anon -1", "anon 1 2", "anon 1\nfile",
                             "total_rss +1", "anon 99999999999999999999"}) {
      MemoryStatistics memory;
      EXPECT_EQ(code(parse_memory_stat(text, version, memory)), EPROTO) << version << text;
      EXPECT_EQ(code(parse_memory_events(text, version, memory)), EPROTO) << version << text;
    }
    MemoryStatistics memory;
    ASSERT_TRUE(parse_memory_stat("", version, memory));
    ASSERT_TRUE(parse_memory_events("", version, memory));
    EXPECT_EQ(memory, MemoryStatistics{}) << "what the kernel does not tell is 0";
  }
}

TEST(CpuStat, ReadsBothVersionsAndRefusesMalformedText) {
  GroupCpu v2;
  ASSERT_TRUE(parse_cpu_stat(
      "usage_usec 12\nuser_usec 7\nnr_periods 4\nnr_throttled 2\nthrottled_usec 3\n", v2));
  EXPECT_EQ(v2.usage_ns, 12000U);
  EXPECT_EQ(v2.throttled_ns, 3000U);
  GroupCpu v1;
  ASSERT_TRUE(parse_cpu_stat("nr_periods 4\nnr_throttled 2\nthrottled_time 300\n", v1));
  EXPECT_EQ(v1.throttled_ns, 300U);
  for (const char* text : {"usage_usec", "usage_usec x", "usage_usec -1", "nr_periods 1 2",
                           "throttled_time 99999999999999999999", "usage_usec 1\nnr_periods"}) {
    GroupCpu cpu;
    EXPECT_EQ(code(parse_cpu_stat(text, cpu)), EPROTO) << text;
  }
}

TEST(MemoryStat, NamesTheFileThatDoesNotParse) {
  const FixtureTree fixture({{"cgroup/g/memory.current", "1\n"},
                             {"cgroup/g/memory.stat", "anon x\n"},
                             {"cgroup/g/memory.max", "max\n"},
                             {"cgroup/g/memory.events", "oom 0\n"}});
  const Tree tree = fixture.tree();
  const Dir group = std::move(*tree.cgroup.open_dir("g"));
  const auto broken = read_memory(group, 2);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, EPROTO);
  EXPECT_THAT(broken.error().context, HasSubstr("g/memory.stat"));
  fixture.write("cgroup/g/memory.stat", "anon 1\n");
  EXPECT_EQ(read_memory(group, 2).value().swap_bytes, 0U) << "a kernel without swap";
  EXPECT_EQ(code(read_memory(group, 1)), ENOENT);
}

TEST(MemoryStat, KnowsHowMuchMoreAGroupMaySwap) {
  constexpr std::uint64_t kNoLimit = UINT64_MAX;
  const FixtureTree fixture({{"cgroup/g/memory.stat", "anon 1\ntotal_rss 1\n"},
                             {"cgroup/g/memory.events", "oom 0\n"},
                             {"cgroup/g/memory.oom_control", "oom_kill 0\n"},
                             {"cgroup/g/memory.current", "60\n"},
                             {"cgroup/g/memory.max", "100\n"},
                             {"cgroup/g/memory.usage_in_bytes", "60\n"},
                             {"cgroup/g/memory.limit_in_bytes", "100\n"}});
  const Tree tree = fixture.tree();
  const Dir group = std::move(*tree.cgroup.open_dir("g"));
  const auto left = [&](int version) {
    return read_memory(group, version).value().swap_left_bytes;
  };
  EXPECT_EQ(left(2), kNoLimit) << "a kernel without swap";
  EXPECT_EQ(left(1), kNoLimit);
  struct V2 {
    const char *current, *most;
    std::uint64_t left;
  };
  for (const V2& one : {V2{"5\n", "max\n", kNoLimit}, V2{"5\n", "0\n", 0}, V2{"5\n", "30\n", 25}}) {
    fixture.write("cgroup/g/memory.swap.current", one.current);
    fixture.write("cgroup/g/memory.swap.max", one.most);
    EXPECT_EQ(left(2), one.left) << one.most;
  }
  struct V1 {
    const char *used, *most;
    std::uint64_t left;
  };
  for (const V1& one : {V1{"70\n", "9223372036854771712\n", kNoLimit},  // as v1 says none
                        V1{"60\n", "100\n", 0}, V1{"70\n", "130\n", 20}, V1{"99\n", "100\n", 0}}) {
    fixture.write("cgroup/g/memory.memsw.usage_in_bytes", one.used);
    fixture.write("cgroup/g/memory.memsw.limit_in_bytes", one.most);
    EXPECT_EQ(left(1), one.left) << one.most;
  }
}

TEST(CpuTimes, CountsInTicks) {
  const auto times = parse_cpu_times(
      "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 0 0 0 0 0 0 0 0 0\ncpu1 1 0 0 0 0 0 0 0 0 0\nintr 1 2\n",
      100);
  ASSERT_TRUE(times) << times.error().message();
  constexpr std::uint64_t kTick = 10'000'000;
  EXPECT_EQ(*times, (CpuTimes{1 * kTick, 2 * kTick, 3 * kTick, 4 * kTick, 5 * kTick, 6 * kTick,
                              7 * kTick, 8 * kTick, 2}));
  for (const char* text : {"", "cpu0 1 2 3 4 5 6 7 8", "cpu 1 2 3 4 5 6 7", "cpu 1 2 x 4 5 6 7 8",
                           "cpu 1 2 -3 4 5 6 7 8", "cpu 18446744073709551615 2 3 4 5 6 7 8"})
    EXPECT_EQ(code(parse_cpu_times(text, 100)), EPROTO) << text;
  EXPECT_EQ(code(parse_cpu_times("cpu 1 2 3 4 5 6 7 8", 0)), EINVAL);
}

TEST(IoStat, SumsDevicesOfBothVersions) {
  const IoStatistics wanted{300, 30, 7, 5};
  const auto v2 = parse_io_stat(
      "8:0 rbytes=100 wbytes=20 rios=3 wios=4 dbytes=9 dios=9\n"
      "253:0 rbytes=200 wbytes=10 rios=4 wios=1 cost.usage=6\n7:0 \n");
  ASSERT_TRUE(v2) << v2.error().message();
  EXPECT_EQ(*v2, wanted);
  const auto v1 = parse_blkio(
      "8:0 Read 100\n8:0 Write 20\n8:0 Sync 1\n8:0 Async 1\n8:0 Discard 0\n8:0 Total 120\n"
      "253:0 Read 200\n253:0 Write 10\n253:0 Total 210\nTotal 330\n",
      "8:0 Read 3\n8:0 Write 4\n8:0 Total 7\n253:0 Read 4\n253:0 Write 1\nTotal 12\n");
  ASSERT_TRUE(v1) << v1.error().message();
  EXPECT_EQ(*v1, wanted);
  EXPECT_EQ(parse_blkio("Total 0\n", "Total 0\n").value(), IoStatistics{});
  EXPECT_EQ(parse_io_stat("").value(), IoStatistics{});
}

TEST(IoStat, RefusesMalformedText) {
  for (const char* text : {"8 rbytes=1", "8:0 rbytes", "8:0 rbytes=", "8:0 rbytes=x", "8:0 wios=-1",
                           "8:0 rios=99999999999999999999", "rbytes=1"})
    EXPECT_EQ(code(parse_io_stat(text)), EPROTO) << text;
  for (const char* text : {"8:0 Read", "8:0 Read x", "8:0 Read -1", "8 Read 1", "8:0 Read 1 2"}) {
    EXPECT_EQ(code(parse_blkio(text, "")), EPROTO) << text;
    EXPECT_EQ(code(parse_blkio("", text)), EPROTO) << text;
  }
}

TEST(Swaps, ReadsTheTable) {
  const auto swaps = parse_swaps(
      "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
      "/dev/zram0                              partition\t1048572\t\t4\t\t100\n"
      "/swap\\040file                            file\t\t8\t\t0\t\t-2\n");
  ASSERT_TRUE(swaps) << swaps.error().message();
  ASSERT_EQ(swaps->size(), 2U);
  EXPECT_EQ((*swaps)[0], (SwapDevice{"/dev/zram0", false, 1048572ULL * 1024, 4096, 100}));
  EXPECT_EQ((*swaps)[1], (SwapDevice{"/swap file", true, 8192, 0, -2}));
  EXPECT_TRUE(parse_swaps("Filename\tType\tSize\tUsed\tPriority\n")->empty());
}

TEST(Swaps, RefusesMalformedTables) {
  for (const char* text :
       {"", "/dev/zram0 partition 1 1 1", "Filename\n/dev/zram0 partition 1 1",
        "Filename\n/dev/zram0 partition x 1 1", "Filename\n/dev/zram0 partition 1 -1 1",
        "Filename\n/dev/zram0 partition 1 1 -", "Filename\n/dev/zram0 partition 1 1 99999",
        "Filename\n/dev/zram0 partition 18446744073709551615 1 1", "Filename\n\n"})
    EXPECT_EQ(code(parse_swaps(text)), EPROTO) << text;
}

TEST(Swaps, RefusesWhatTheKernelWould) {
  const FixtureTree fixture(FixtureFiles{{"sys/device", ""}});
  const std::string file = fixture.path() + "/sys/device";
  EXPECT_EQ(code(make_swap(file, 4096 * 9)), EINVAL);
  EXPECT_EQ(code(swap_on(file, 32768)), EINVAL);
  EXPECT_EQ(code(swap_on(file, -2)), EINVAL);
  ASSERT_TRUE(make_swap(file, 4096 * 10));
  const std::string header = fixture.read("sys/device");
  ASSERT_EQ(header.size(), 4096U);
  EXPECT_EQ(header.substr(4086), "SWAPSPACE2");
  EXPECT_EQ(header.substr(1024, 8), std::string("\1\0\0\0\x9\0\0\0", 8)) << "version, last page";
  const Tree tree = fixture.tree();
  EXPECT_TRUE(read_swaps(tree)->empty()) << "a kernel without swap has no table";
}

}  // namespace
}  // namespace panal::kernel
