#include "engine/policy/trace.h"

#include <gtest/gtest.h>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

const std::string kHead = "panal-trace 1\n# anything\ntime_ms memory_available_bytes odd\n";

TEST(Trace, ReadsWhatIsKnown) {
  const auto trace = parse_trace(
      "panal-trace 1\ntime_ms memory_available_bytes odd ksm_general_profit_bytes vm_cow_ksm\n"
      "0 100 7 -4096 -\n\n# later\n1000 90 - 5 3\n");
  ASSERT_TRUE(trace) << trace.error().message();
  const auto snapshots = snapshots_of(*trace);
  ASSERT_EQ(snapshots.size(), 2U);
  EXPECT_EQ(snapshots[0].memory.available, 100U);
  EXPECT_EQ(snapshots[0].ksm->general_profit_bytes, -4096);
  EXPECT_EQ(snapshots[1].vm.cow_ksm, 3U);
  EXPECT_EQ(snapshots[1].at_ns, kSecond);
  EXPECT_FALSE(snapshots[1].pressure.memory);
}

TEST(Trace, IsPrintedAsItIsRead) {
  Trace trace;
  trace.columns = {"time_ms", "a", "b_c"};
  trace.rows = {{0, -5, std::nullopt}, {1000, std::nullopt, INT64_MAX}};
  const std::string text = print_trace(trace, "what ran\nand where");
  EXPECT_TRUE(text.starts_with("panal-trace 1\n# what ran\n# and where\ntime_ms a b_c\n0 -5 -\n"))
      << text;
  const auto again = parse_trace(text);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(*again, trace);
  EXPECT_EQ(print_trace(trace), print_trace(*again, ""));
}

TEST(Trace, AHostBecomesARowAndTheHostAgain) {
  Snapshot host;
  host.at_ns = 7 * kSecond;
  host.memory.available = 100;
  host.memory.swap_free = 7;
  host.vm.refault_anon = 3;
  host.cpu.cores = 2;
  host.pressure.memory.emplace().some.total_us = 11;
  host.pressure.io.emplace().full.emplace().total_us = 12;
  host.zram.used = 5;
  const auto row = host_row(host);
  ASSERT_EQ(row.size(), host_columns().size());
  const auto snapshots = snapshots_of({host_columns(), {row}});
  ASSERT_EQ(snapshots.size(), 1U);
  EXPECT_EQ(snapshots[0], host) << "what was absent stays so";
}

TEST(Trace, RefusesMalformedText) {
  for (const char* text :
       {"", "\n", "panal-trace 2\ntime_ms\n", "panal-trace 1\n", "panal-trace 1\na time_ms\n",
        "panal-trace 1\ntime_ms a a\n", "panal-trace 1\ntime_ms A\n"}) {
    const auto trace = parse_trace(text);
    ASSERT_FALSE(trace) << text;
    EXPECT_EQ(trace.error().code, EPROTO) << text;
  }
  for (const char* row : {"0 1", "0 1 2 3", "x 1 2", "- 1 2", "-1 1 2", "0 1.5 2", "0 1 0x2",
                          "0 1 99999999999999999999", "5 1 1\n5 1 1", "9223372036854775807 1 1"}) {
    const auto trace = parse_trace(kHead + row);
    ASSERT_FALSE(trace) << row;
    EXPECT_EQ(trace.error().code, EPROTO) << row;
  }
  EXPECT_TRUE(parse_trace(kHead));
}

}  // namespace
}  // namespace panal::policy
