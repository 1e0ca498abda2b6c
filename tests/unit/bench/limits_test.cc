#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bench/density/kernel_log.h"
#include "bench/density/limit_watch.h"
#include "bench/density/metrics_text.h"
#include "bench/density/sampler.h"

namespace panal::bench {
namespace {

constexpr const char* kOomKill =
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=d1,mems_allowed=0,"
    "oom_memcg=/panal-lab-24841/panal/d1,task_memcg=/panal-lab-24841/panal/d1,task=attack,"
    "pid=29451,uid=1001000";

TEST(KernelLog, KnowsLinesThatTellOfALimit) {
  EXPECT_EQ(alarm_of(kOomKill), "oom_kill");
  EXPECT_EQ(alarm_of("Memory cgroup out of memory: Killed process 29451 (attack) total-vm:3kB"),
            "oom");
  EXPECT_EQ(alarm_of("Out of memory: Killed process 1 (init)"), "oom");
  EXPECT_EQ(alarm_of("panald invoked oom-killer: gfp_mask=0xcc0, order=0"), "oom");
  EXPECT_EQ(alarm_of("cgroup: fork rejected by pids controller in /panal-lab-1/run"),
            "fork_rejected");
  EXPECT_EQ(alarm_of("neighbour: arp_cache: neighbor table overflow!"), "neighbour_table");
  EXPECT_EQ(alarm_of("nf_conntrack: nf_conntrack: table full, dropping packet"), "table_full");
  EXPECT_EQ(alarm_of("bridge: pnlbr0: port table full"), "table_full");
  EXPECT_EQ(alarm_of("bridge: pnlbr0 is full"), "bridge");
  EXPECT_EQ(alarm_of("VFS: file-max limit 9223372036854775807 reached"), "files");
  EXPECT_EQ(alarm_of("kworker/0:1: page allocation failure: order:4"), "no_page");
  EXPECT_EQ(
      alarm_of("gmain[254]: segfault at 5555 ip 00007f sp 00007f error 4 in libglib-2.0.so.0"),
      "crash");
  EXPECT_EQ(alarm_of("traps: xterm[12] general protection fault ip:55 sp:7f error:0"), "crash");
  EXPECT_EQ(alarm_of("eth0: full duplex"), std::nullopt);
  EXPECT_EQ(alarm_of("zram0: detected capacity change from 0 to 49368184"), std::nullopt);
  EXPECT_EQ(alarm_of(""), std::nullopt);
}

TEST(KernelLog, KnowsWhoseProcessWasKilled) {
  EXPECT_TRUE(is_kill_below(kOomKill, "panal-lab-24841"));
  EXPECT_TRUE(is_kill_below(kOomKill, "panal-lab-24841/panal/d1"));
  EXPECT_FALSE(is_kill_below(kOomKill, "panal-lab-2484")) << "another lab";
  EXPECT_FALSE(is_kill_below(kOomKill, "panal-lab-24841/panal/d"));
  EXPECT_TRUE(is_kill_below("oom-kill:constraint=CONSTRAINT_NONE,task_memcg=/x,task=y", "lab"))
      << "the whole machine's may be anybody";
}

TEST(KernelLog, TakesTheTextOfARecord) {
  EXPECT_EQ(text_of_record("6,1234,5678,-;eth0: up\n SUBSYSTEM=net\n"), "eth0: up");
  EXPECT_EQ(text_of_record("6,1,2,-;a;b\n"), "a;b");
  EXPECT_EQ(text_of_record("junk"), "");
  EXPECT_EQ(text_of_record(""), "");
}

TEST(LimitWatch, FallenAreThoseThatAreGoneOrLostAProcess) {
  const auto stats = nlohmann::json::parse(R"({"desktops": [
    {"id": 1, "oom_kills": 0}, {"id": 2, "killed_processes": 1}, {"id": 3, "oom_kills": 2},
    {"id": 9, "oom_kills": 5}]})");
  std::vector<Account> accounts(4);
  for (std::size_t i = 0; i < accounts.size(); ++i)
    accounts[i].id = static_cast<std::int64_t>(i) + 1;
  EXPECT_EQ(LimitWatch::fallen(stats, accounts), (std::set<std::int64_t>{2, 3, 4}));
}

TEST(Metrics, AreSummedByNameAndLabel) {
  constexpr const char* kText =
      "# HELP panal_starts_refused_total Starts.\n"
      "panal_starts_refused_total{resource=\"memory\"} 2\n"
      "panal_starts_refused_total{resource=\"processes\"} 3\n"
      "panal_starts_refused_total_other 7\n"
      "panal_starts_under_way_desktops 4\n";
  EXPECT_EQ(metric(kText, "panal_starts_refused_total"), 5);
  EXPECT_EQ(metric(kText, "panal_starts_refused_total", "memory"), 2);
  EXPECT_EQ(metric(kText, "panal_starts_under_way_desktops"), 4);
  EXPECT_EQ(metric(kText, "panal_starts"), 0);
  EXPECT_EQ(metric("", "panal_starts"), 0);
}

TEST(Sampler, AddsWhatEndedChildrenTook) {
  // Of proc(5): the name may hold blanks and brackets; utime 5, stime 6, cutime 70, cstime 80.
  EXPECT_EQ(
      cpu_with_ended_ns("42 (pan) (ald) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 70 80 20 0 9 0\n", 1e7),
      161e7);
  EXPECT_EQ(cpu_with_ended_ns("42 (panald) S 1 42", 1e7), std::nullopt);
  EXPECT_EQ(cpu_with_ended_ns("42 (panald) S 1 42 42 0 -1 4194560 1 2 3 4 5 -6 70 80 20\n", 1e7),
            std::nullopt);
  EXPECT_EQ(cpu_with_ended_ns("", 1e7), std::nullopt);
}

}  // namespace
}  // namespace panal::bench
