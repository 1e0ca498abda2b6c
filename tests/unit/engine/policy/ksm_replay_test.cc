// The governor on what a real ksmd and real desktops did (tests/fixtures/traces, recorded by
// `panal-bench ksm --trace`). A replay answers nothing: what would have followed another decision
// is not in the recording. It shows what the law makes of real counters, with their noise.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/policy/ksm_trace.h"
#include "engine/policy/units.h"
#include "tests/unit/engine/policy/recorded_trace.h"

namespace panal::policy {
namespace {

class KsmReplay : public ::testing::Test {
 protected:
  void SetUp() override {
    const Trace trace = recorded_trace(kIcewmTrace);
    samples_ = ksm_samples_of(trace);
    recorded_ = ksm_decisions_of(trace);
    ASSERT_EQ(samples_.size(), recorded_.size());
    ASSERT_GT(samples_.size(), 60U);
    KsmGovernor governor({.cap_cores = kCapCores});
    for (const KsmSample& sample : samples_) decided_.push_back(governor.decide(sample));
  }
  bool reaches(KsmPhase phase) const {
    return std::any_of(decided_.begin(), decided_.end(),
                       [phase](const KsmDecision& one) { return one.phase == phase; });
  }

  static constexpr double kCapCores = 0.5;  ///< profile dense
  std::vector<KsmSample> samples_;
  std::vector<KsmDecision> recorded_, decided_;
};

TEST_F(KsmReplay, WaitsForTheStormMakesItsPassesAndRests) {
  EXPECT_TRUE(reaches(KsmPhase::kStorm));
  EXPECT_TRUE(reaches(KsmPhase::kBurst));
  EXPECT_EQ(decided_.back().phase, KsmPhase::kRest);
  for (std::size_t i = 0; i < samples_.size(); ++i)
    EXPECT_EQ(decided_[i].run, samples_[i].enlisted_desktops > 0) << "row " << i;
}

TEST_F(KsmReplay, KeepsToItsCapOnceItKnowsWhatAPageCostsTheRealKsmd) {
  ASSERT_TRUE(samples_.front().ksm.ksmd_cpu_ns && samples_.back().ksm.ksmd_cpu_ns);
  const double page_seconds =
      real(grown(*samples_.front().ksm.ksmd_cpu_ns, *samples_.back().ksm.ksmd_cpu_ns)) / 1e9 /
      real(
          grown(samples_.front().ksm.pages_scanned_total, samples_.back().ksm.pages_scanned_total));
  // It begins with a microsecond; what smart scan skips is not counted and takes time too.
  EXPECT_GT(page_seconds, 1e-6);
  bool learnt = false;
  for (std::size_t i = 1; i < decided_.size(); ++i) {
    learnt = learnt || grown(samples_[i - 1].ksm.pages_scanned_total,
                             samples_[i].ksm.pages_scanned_total) > 50'000;
    if (!learnt) continue;
    const double busy = decided_[i].pages_to_scan * page_seconds;
    const double cores = busy / (busy + decided_[i].sleep_ms / 1000.0);
    // A page costs more while it merges than on the average of a recording.
    EXPECT_LE(cores, 1.3 * kCapCores) << "row " << i << ", " << to_string(decided_[i].phase);
  }
  EXPECT_TRUE(learnt);
}

/// A law that is meant to change wants a new recording, or this number looked at.
TEST_F(KsmReplay, DecidesAsItDidWhenItWasRecorded) {
  std::size_t same = 0;
  for (std::size_t i = 0; i < decided_.size(); ++i)
    same += decided_[i].phase == recorded_[i].phase ? 1U : 0U;
  EXPECT_GE(same * 100, decided_.size() * 95) << same << " of " << decided_.size();
}

}  // namespace
}  // namespace panal::policy
