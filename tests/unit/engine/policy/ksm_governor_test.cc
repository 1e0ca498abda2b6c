#include "engine/policy/ksm_governor.h"

#include <gtest/gtest.h>

#include "engine/policy/units.h"

namespace panal::policy {

void PrintTo(const KsmDecision& decision, std::ostream* out) {
  *out << to_string(decision.phase) << " " << decision.pages_to_scan << "/" << decision.sleep_ms;
}

namespace {

constexpr std::uint64_t kGib = 1024 * kMib;
constexpr double kPageSeconds = 1e-6;

/// A host whose ksmd does exactly what it is told; the test says what it wins.
class Host {
 public:
  Host() {
    sample_.memory_total_bytes = 24 * kGib;
    sample_.memory_available_bytes = 12 * kGib;
    sample_.cores = 2;
  }
  KsmSample& sample() { return sample_; }

  void start(std::uint32_t desktops) {
    sample_.enlisted_desktops += desktops;
    sample_.enlisted_starts_total += desktops;
    sample_.enlisted_bytes += desktops * 95 * kMib;
  }

  /// One second of scanning, and the governor's next decision. `bytes_per_page`: won by scanning.
  KsmDecision second(double bytes_per_page) {
    if (decision_.run) {
      const double busy = decision_.pages_to_scan * kPageSeconds;
      const double batches = 1 / (busy + decision_.sleep_ms / 1000.0);
      const double pages = batches * decision_.pages_to_scan;
      scanned_ += pages;
      profit_ += pages * bytes_per_page;
      cpu_ += pages * kPageSeconds;
      last_cpu_ = pages * kPageSeconds;
    }
    sample_.at_ns += kSecond;
    sample_.ksm.pages_scanned_total = whole(scanned_);
    sample_.ksm.general_profit_bytes = static_cast<std::int64_t>(profit_);
    sample_.ksm.ksmd_cpu_ns = whole(cpu_ * 1e9);
    const double pass = std::max(1.0, real(sample_.enlisted_bytes / kPageBytes));
    sample_.ksm.full_scans_total = whole(scanned_ / pass);
    decision_ = governor_.decide(sample_);
    return decision_;
  }
  KsmDecision seconds_of(int count, double bytes_per_page) {
    for (int i = 0; i < count; ++i) (void)second(bytes_per_page);
    return decision_;
  }
  double cpu() const { return cpu_; }
  double last_cpu() const { return last_cpu_; }

 private:
  KsmGovernor governor_;
  KsmSample sample_;
  KsmDecision decision_;
  double scanned_ = 0;
  double profit_ = 0;
  double cpu_ = 0;
  double last_cpu_ = 0;
};

double pages_per_second(const KsmDecision& decision) {
  return decision.pages_to_scan /
         (decision.pages_to_scan * kPageSeconds + decision.sleep_ms / 1000.0);
}

TEST(KsmGovernor, StandsStillWhenNobodyIsEnlisted) {
  Host host;
  const KsmDecision decision = host.second(0);
  EXPECT_FALSE(decision.run);
  EXPECT_EQ(decision.phase, KsmPhase::kOff);
}

TEST(KsmGovernor, GoesFromStormToBurstToRest) {
  Host host;
  host.start(100);
  EXPECT_EQ(host.second(0).phase, KsmPhase::kStorm);  // perhaps they just started
  host.start(100);
  EXPECT_EQ(host.second(0).phase, KsmPhase::kStorm);
  const double storm = pages_per_second(host.seconds_of(2, 0));
  EXPECT_EQ(host.seconds_of(8, 0).phase, KsmPhase::kBurst);
  EXPECT_GT(pages_per_second(host.second(0)), 3 * storm);
  // Three passes over 4.9 M pages at half a million a second, of which the storm saw little.
  EXPECT_EQ(host.seconds_of(20, 500).phase, KsmPhase::kBurst);
  // 500 bytes a page are 500 MB a CPU second: worth going on.
  EXPECT_EQ(host.seconds_of(30, 500).phase, KsmPhase::kFollow);
  const KsmDecision rest = host.seconds_of(90, 0);
  EXPECT_EQ(rest.phase, KsmPhase::kRest);
  EXPECT_LE(pages_per_second(rest), 1000);
  EXPECT_LT(host.last_cpu(), 0.002);
}

TEST(KsmGovernor, FollowsWhatPays) {
  Host host;
  host.start(20);
  (void)host.seconds_of(120, 0);
  const double low = pages_per_second(host.second(0));
  // 24 GiB / 2 cores / 600 s = 20 MiB a CPU second = 21 bytes a page of a microsecond.
  const double high = pages_per_second(host.seconds_of(300, 40));
  EXPECT_GT(high, 8 * low);
  EXPECT_LT(pages_per_second(host.seconds_of(300, 10)), high / 8);
}

TEST(KsmGovernor, BurstsForNewMemoryOnlyIfItCanPay) {
  struct Case {
    std::uint32_t more;
    KsmPhase phase;
  };
  for (const Case& c : {Case{1, KsmPhase::kRest}, Case{100, KsmPhase::kStorm}}) {
    Host host;
    host.start(300);
    (void)host.seconds_of(60, 1400);  // about a third merges
    ASSERT_EQ(host.seconds_of(150, 0).phase, KsmPhase::kRest);
    host.start(c.more);
    EXPECT_EQ(host.second(0).phase, c.phase) << c.more;
  }
}

TEST(KsmGovernor, StartsThatNeverCeaseDoNotKeepBurstsAway) {
  Host host;
  host.start(1);
  unsigned bursts = 0;
  for (int i = 0; i < 180; ++i) {
    host.start(2);
    if (host.second(300).phase == KsmPhase::kBurst) ++bursts;
  }
  EXPECT_GE(bursts, 2U);
}

TEST(KsmGovernor, AStormThatBreaksABurstOffLosesNothing) {
  Host host;
  host.start(200);
  ASSERT_EQ(host.seconds_of(12, 0).phase, KsmPhase::kBurst);
  host.start(20);  // little, but what the burst did not finish still waits
  ASSERT_EQ(host.second(0).phase, KsmPhase::kStorm);
  EXPECT_EQ(host.seconds_of(11, 0).phase, KsmPhase::kBurst);
}

TEST(KsmGovernor, KeepsTheCapWhateverAPageCosts) {
  for (const double cap : {0.05, 0.25, 0.5, 1.0}) {
    for (const double cost : {2e-7, 1e-6, 5e-6, 1e-5}) {
      KsmGovernor governor(KsmGovernorConfig{cap, 1000});
      KsmSample sample;
      sample.memory_total_bytes = 24 * kGib;
      sample.memory_available_bytes = 12 * kGib;
      sample.cores = 4;
      sample.enlisted_desktops = 400;
      sample.enlisted_bytes = 38 * kGib;
      KsmDecision decision;
      double used = 0;
      double cpu = 0;
      double scanned = 0;
      for (int i = 0; i < 60; ++i) {
        sample.at_ns += kSecond;
        sample.ksm.pages_scanned_total = whole(scanned);
        sample.ksm.ksmd_cpu_ns = whole(cpu * 1e9);
        decision = governor.decide(sample);
        const double busy = decision.pages_to_scan * cost;
        const double pages = decision.pages_to_scan / (busy + decision.sleep_ms / 1000.0);
        used = pages * cost;
        scanned += pages;
        cpu += used;
      }
      EXPECT_LE(used, cap * 1.1) << cap << " " << cost;
      EXPECT_GE(used, cap * 0.5) << cap << " " << cost;
    }
  }
}

TEST(KsmGovernor, PaysMoreWhereMemoryIsShort) {
  KsmSample sample;
  sample.memory_total_bytes = 24 * kGib;
  sample.memory_available_bytes = 12 * kGib;
  sample.cores = 2;
  EXPECT_NEAR(KsmGovernor::price_bytes(sample) / kMib, 20.48, 0.01);
  sample.memory_available_bytes = 1 * kGib;
  EXPECT_NEAR(KsmGovernor::price_bytes(sample) / kMib, 5.12, 0.01);
}

TEST(KsmGovernor, SurvivesCountersThatBeginAnew) {
  Host host;
  host.start(50);
  (void)host.seconds_of(30, 400);
  KsmGovernor governor;
  KsmSample sample = host.sample();
  (void)governor.decide(sample);
  sample.at_ns += kSecond;
  sample.ksm = {};
  sample.ksm.general_profit_bytes = -4096;
  sample.cow_ksm_total = 0;
  const KsmDecision decision = governor.decide(sample);
  EXPECT_TRUE(decision.run);
  EXPECT_GT(decision.pages_to_scan, 0U);
  // the same moment twice
  EXPECT_TRUE(governor.decide(sample).run);
}

}  // namespace
}  // namespace panal::policy
