#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/tree.h"
#include "engine/kernel/apparmor.h"
#include "engine/kernel/cgroup_stat.h"
#include "engine/kernel/cpu_times.h"
#include "engine/kernel/host_snapshot.h"
#include "engine/kernel/ksm.h"
#include "engine/kernel/meminfo.h"
#include "engine/kernel/mountinfo.h"
#include "engine/kernel/oom_score.h"
#include "engine/kernel/psi.h"
#include "engine/kernel/smaps.h"
#include "engine/kernel/swaps.h"
#include "engine/kernel/sysctl.h"
#include "engine/kernel/vmstat.h"
#include "engine/kernel/zram.h"
#include "engine/kernel/zram_swap.h"
#include "tests/unit/engine/kernel/result_code.h"

namespace panal::kernel {
namespace {

using namespace std::chrono_literals;

TEST(AppArmor, FindsAProfileByItsWholeName) {
  const char* const list =
      "panal-desktop (enforce)\nlxc-container-default (enforce)\nmy (own) one (complain)\n";
  for (const char* name : {"panal-desktop", "lxc-container-default", "my (own) one"})
    EXPECT_TRUE(lists_profile(list, name)) << name;
  for (const char* name : {"panal", "desktop", "panal-desktop (enforce)", "my", "own", ""})
    EXPECT_FALSE(lists_profile(list, name)) << name;
  for (const char* malformed : {"", "\n", "panal-desktop", "panal-desktop ", "panal-desktop (",
                                "panal-desktop(enforce)", "panal-desktop enforce"})
    EXPECT_FALSE(lists_profile(malformed, "panal-desktop")) << malformed;
}

TEST(AppArmor, IsOffWithoutTheModule) {
  const auto tree = Tree::open_below(std::string(PANAL_SOURCE_DIR "/tests/fixtures/hybrid-6.18"));
  ASSERT_TRUE(tree);
  EXPECT_EQ(read_apparmor(*tree, "panal-desktop"), AppArmorState::kOff);
}

TEST(Mountinfo, DecodesEscapesAndOptionalFields) {
  const auto entries = parse_mountinfo(
      "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=x\n"
      "37 36 0:5 / /a\\134b rw - tmpfs  rw\n");
  ASSERT_TRUE(entries) << entries.error().message();
  ASSERT_EQ(entries->size(), 2U);
  EXPECT_EQ((*entries)[0].mount_point, "/mnt 2");
  EXPECT_EQ((*entries)[0].propagation, "shared:1 master:2");
  EXPECT_EQ((*entries)[0].root, "/mnt1");
  EXPECT_TRUE((*entries)[0].has_super_option("rw"));
  EXPECT_FALSE((*entries)[0].has_super_option("r"));
  EXPECT_EQ((*entries)[1].mount_point, "/a\\b");
  EXPECT_EQ((*entries)[1].source, "");
  EXPECT_EQ((*entries)[1].super_options, "rw");
}

TEST(Mountinfo, RefusesMalformedLines) {
  for (const char* text :
       {"1", "1 2 3 4 5", "1 2 0:1 / /x rw", "1 2 0:1 / /x rw -", "1 2 0:1 / /x rw - ext4 src",
        "x 2 0:1 / /x rw - ext4 src rw", "1 -2 0:1 / /x rw - ext4 src rw",
        "99999999999 2 0:1 / /x rw - ext4 src rw", "1 2 0:1 /  rw - ext4 src rw", "- - - - - - -"})
    EXPECT_EQ(code(parse_mountinfo(text)), EPROTO) << text;
  EXPECT_EQ(code(parse_mountinfo("")), 0);
}

TEST(Psi, ReadsBothLines) {
  const auto pressure = parse_psi(
      "some avg10=1.50 avg60=0.20 avg300=100.00 total=12345\n"
      "full avg10=0.00 avg60=0.00 avg300=0.00 total=18446744073709551615\n");
  ASSERT_TRUE(pressure) << pressure.error().message();
  EXPECT_DOUBLE_EQ(pressure->some.avg10_percent, 1.5);
  EXPECT_DOUBLE_EQ(pressure->some.avg300_percent, 100);
  EXPECT_EQ(pressure->some.total_us, 12345U);
  ASSERT_TRUE(pressure->full);
  EXPECT_EQ(pressure->full->total_us, UINT64_MAX);
}

TEST(Psi, ToleratesWhatLaterKernelsAdd) {
  const auto pressure =
      parse_psi("none x=1\nsome avg10=0.00 avg60=0.00 avg300=0.00 avg900=1 total=7\n");
  ASSERT_TRUE(pressure);
  EXPECT_FALSE(pressure->full);
}

TEST(Psi, RefusesMalformedText) {
  for (const char* text :
       {"", "\n", "some", "full avg10=0.00 avg60=0.00 avg300=0.00 total=1",
        "some avg10=0.00 avg60=0.00 avg300=0.00", "some avg10=0.00 avg60=0.00 total=1",
        "some avg10=x avg60=0.00 avg300=0.00 total=1", "some avg10= avg60=0 avg300=0 total=1",
        "some avg10=-1 avg60=0 avg300=0 total=1", "some avg10=nan avg60=0 avg300=0 total=1",
        "some avg10=0 avg60=0 avg300=0 total=-1", "some avg10=0 avg60=0 avg300=0 total",
        "some avg10=0 avg60=0 avg300=0 total=99999999999999999999",
        "some avg10=0 avg60=0 avg300=0 total=1\nfull avg10=0"})
    EXPECT_EQ(code(parse_psi(text)), EPROTO) << text;
}

TEST(Fixtures, AreReadByEveryParser) {
  for (const char* name : {"hybrid-6.18", "v1-6.18", "v2-6.1"}) {
    SCOPED_TRACE(name);
    const bool old = name == std::string_view("v2-6.1");
    const auto tree = Tree::open_below(std::string(PANAL_SOURCE_DIR "/tests/fixtures/") + name);
    ASSERT_TRUE(tree);
    const auto info = read_meminfo(*tree);
    ASSERT_TRUE(info) << info.error().message();
    EXPECT_EQ(info->total, (old ? 1510904ULL : 24684092ULL) * 1024);
    EXPECT_GT(info->available, info->total / 4);
    EXPECT_GT(info->slab_unreclaimable, 0U);
    const auto pressures = read_host_pressures(*tree);
    ASSERT_TRUE(pressures) << pressures.error().message();
    EXPECT_TRUE(pressures->cpu && pressures->memory && pressures->io);
    EXPECT_TRUE(read_zram(*tree));
    const auto vm = read_vmstat(*tree);
    ASSERT_TRUE(vm) << vm.error().message();
    EXPECT_GT(vm->major_faults, 0U);
    const auto cpu = read_cpu_times(*tree);
    ASSERT_TRUE(cpu) << cpu.error().message();
    EXPECT_EQ(cpu->cores, 2U);
    EXPECT_GT(cpu->idle_ns, 0U);
    const auto swaps = read_swaps(*tree);
    ASSERT_TRUE(swaps) << swaps.error().message();
    const auto settings = read_ksm_settings(*tree);
    ASSERT_TRUE(settings) << settings.error().message();
    EXPECT_EQ(*settings, KsmSettings{.smart_scan = !old}) << "the kernel's defaults";
    const auto counters = read_ksm_counters(*tree);
    ASSERT_TRUE(counters) << counters.error().message();
    const auto host = read_host_snapshot(*tree, nullptr);
    ASSERT_TRUE(host) << host.error().message();
    EXPECT_GT(host->at_ns, 0);
    EXPECT_EQ(host->memory, *info);
    EXPECT_EQ(host->vm, *vm);
    EXPECT_EQ(host->cpu, *cpu);
    EXPECT_EQ(host->pressure, *pressures);
    EXPECT_EQ(host->swaps, *swaps);
    EXPECT_EQ(host->ksm, *counters);
    EXPECT_EQ(host->ksm_settings, *settings);
    EXPECT_EQ(read_sysctl(*tree, "vm.overcommit_memory").value_or(""), "0");
    EXPECT_TRUE(find_free_zram(*tree)) << "nobody uses it";

    const auto maps = read_smaps_rollup(*tree, 42);
    ASSERT_TRUE(maps) << maps.error().message();
    EXPECT_GT(maps->pss_anon, std::uint64_t{8} << 20);
    const auto walk = walk_smaps(*tree, 42, {.deadline = std::chrono::steady_clock::now() + 1h});
    ASSERT_TRUE(walk) << walk.error().message();
    EXPECT_TRUE(walk->complete);
    std::uint64_t anon = 0;
    for (const MemoryMapping& one : walk->mappings) anon += one.anon;
    EXPECT_EQ(anon, maps->anon) << "the walk misses nothing that the sum has";
    const auto ksm = read_ksm_process(*tree, 42);
    ASSERT_TRUE(ksm) << ksm.error().message();
    EXPECT_FALSE(ksm->merge_any);
    EXPECT_TRUE(read_oom_score_adj(*tree, 42));
  }
}

TEST(HostSnapshot, IsWithoutKsmdsTimeWhereTheKernelKeepsNone) {
  const auto tree = Tree::open_below(PANAL_SOURCE_DIR "/tests/fixtures/hybrid-6.18");
  ASSERT_TRUE(tree);
  const auto ksmd = [&](const char* directory) { return Ksmd(*tree->proc.open_dir(directory)); };
  const Ksmd timed = ksmd("42");
  const auto with = read_host_snapshot(*tree, &timed);
  ASSERT_TRUE(with) << with.error().message();
  EXPECT_TRUE(with->ksm->ksmd_cpu_ns);
  const Ksmd untimed = ksmd("pressure");
  const auto without = read_host_snapshot(*tree, &untimed);
  ASSERT_TRUE(without) << without.error().message();
  ASSERT_TRUE(without->ksm);
  EXPECT_FALSE(without->ksm->ksmd_cpu_ns);
}

TEST(Meminfo, RefusesMalformedText) {
  const std::string fine = "MemTotal: 10 kB\nMemFree: 5 kB\n";
  EXPECT_EQ(code(parse_meminfo(fine + "MemAvailable: 7 kB")), 0);
  EXPECT_EQ(code(parse_meminfo(fine + "MemAvailable: 7 kB\nSomething odd\nNew: x")), 0);
  for (const char* rest : {"", "MemAvailable: 7", "MemAvailable: 7 MB", "MemAvailable:",
                           "MemAvailable: -7 kB", "MemAvailable: 99999999999999999999 kB",
                           "MemAvailable: 18446744073709551615 kB", "MemAvailable 7 kB"})
    EXPECT_EQ(code(parse_meminfo(fine + rest)), EPROTO) << rest;
}

TEST(Zram, ReadsMmStatOfOldAndNewKernels) {
  const auto zram = parse_zram_mm_stat("  1000  200 300 0 400 5 6 7 8\n");
  ASSERT_TRUE(zram);
  EXPECT_EQ(zram->original, 1000U);
  EXPECT_EQ(zram->used, 300U);
  EXPECT_EQ(zram->used_max, 400U);
  EXPECT_EQ(zram->same_pages, 5U);
  EXPECT_EQ(zram->huge_pages, 7U);
  EXPECT_TRUE(parse_zram_mm_stat("1 2 3 4 5")) << "before 4.19";
  for (const char* text : {"", "1 2 3 4 5 6 7 x", "1 2 3 4", "1 2 x 4 5", "1 2 -3 4 5"})
    EXPECT_EQ(code(parse_zram_mm_stat(text)), EPROTO) << text;
}

}  // namespace
}  // namespace panal::kernel
