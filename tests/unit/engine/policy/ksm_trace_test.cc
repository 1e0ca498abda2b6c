#include "engine/policy/ksm_trace.h"

#include <gtest/gtest.h>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

Snapshot example_host() {
  Snapshot host;
  host.at_ns = 5 * kSecond + 999'999;
  host.ksm.emplace();
  host.ksm->pages_shared = 10;
  host.ksm->pages_sharing = 200;
  host.ksm->pages_unshared = 300;
  host.ksm->pages_volatile = 7;
  host.ksm->zero_pages = 30;
  host.ksm->pages_scanned_total = 40'000;
  host.ksm->pages_skipped_total = 50;
  host.ksm->full_scans_total = 6;
  host.ksm->general_profit_bytes = -4096;
  host.ksm->ksmd_cpu_ns = 123'456'789;
  host.vm.cow_ksm = 70;
  host.memory.total = 24 * 1024 * kMib;
  host.memory.available = 12 * 1024 * kMib;
  host.cpu.cores = 2;
  return host;
}

KsmSample example(const Snapshot& host) {
  KsmSample sample = ksm_sample_of(host);
  sample.enlisted_desktops = 20;
  sample.enlisted_starts_total = 22;
  sample.enlisted_bytes = 1900 * kMib;
  return sample;
}

Trace trace_of(const Snapshot& host, const KsmDecision& decision) {
  return {ksm_trace_columns(), {ksm_trace_row(host, example(host), decision)}};
}

TEST(KsmTrace, HoldsAllThatTheGovernorSees) {
  const KsmDecision decision{true, 2000, 15, KsmPhase::kBurst};
  const Snapshot host = example_host();
  const auto trace = parse_trace(print_trace(trace_of(host, decision)));
  ASSERT_TRUE(trace) << trace.error().message();
  const auto samples = ksm_samples_of(*trace);
  ASSERT_EQ(samples.size(), 1U);
  const KsmSample& back = samples[0];
  const KsmSample sample = example(host);
  EXPECT_EQ(back.at_ns, 5 * kSecond) << "cut to a millisecond";
  EXPECT_EQ(back.ksm, sample.ksm);
  EXPECT_EQ(back.cow_ksm_total, sample.cow_ksm_total);
  EXPECT_EQ(back.memory_total_bytes, sample.memory_total_bytes);
  EXPECT_EQ(back.memory_available_bytes, sample.memory_available_bytes);
  EXPECT_EQ(back.cores, sample.cores);
  EXPECT_EQ(back.enlisted_desktops, sample.enlisted_desktops);
  EXPECT_EQ(back.enlisted_starts_total, sample.enlisted_starts_total);
  EXPECT_EQ(back.enlisted_bytes, sample.enlisted_bytes);
  EXPECT_EQ(ksm_decisions_of(*trace), std::vector<KsmDecision>{decision});
}

TEST(KsmTrace, KeepsThatKsmdWasNotSeen) {
  Snapshot host = example_host();
  host.ksm->ksmd_cpu_ns.reset();
  const auto samples = ksm_samples_of(trace_of(host, {}));
  ASSERT_EQ(samples.size(), 1U);
  EXPECT_FALSE(samples[0].ksm.ksmd_cpu_ns);
  EXPECT_FALSE(ksm_decisions_of(trace_of(host, {}))[0].run);
}

TEST(KsmTrace, ReadsAForeignTraceAsFarAsItGoes) {
  const auto trace = parse_trace(
      "panal-trace 1\ntime_ms ksm_general_profit_bytes enlisted_desktops\n0 5 -3\n1000 6 2\n");
  ASSERT_TRUE(trace) << trace.error().message();
  const auto samples = ksm_samples_of(*trace);
  ASSERT_EQ(samples.size(), 2U);
  EXPECT_EQ(samples[0].enlisted_desktops, 0U);
  EXPECT_EQ(samples[1].enlisted_desktops, 2U);
  EXPECT_EQ(samples[1].enlisted_bytes, 0U);
  EXPECT_TRUE(ksm_decisions_of(*trace).empty());
}

}  // namespace
}  // namespace panal::policy
