// The capacity model on a recording (tests/fixtures/traces): four desktops that started, one that
// stopped and started again, and compilers that took and gave back a gigabyte beside them.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/policy/admission.h"
#include "engine/policy/ksm_trace.h"
#include "engine/policy/units.h"
#include "tests/unit/engine/policy/recorded_trace.h"

namespace panal::policy {
namespace {

class AdmissionReplay : public RecordedHosts {
 protected:
  /// Their own memory in MiB, as if nothing were merged.
  [[nodiscard]] double taken_at(std::size_t row) const {
    return real(samples_[row].enlisted_bytes) / real(kMib);
  }
  [[nodiscard]] MarginalCost learnt() const {
    CostSamples samples;
    for (std::size_t row = 0; row < samples_.size(); ++row) {
      // Those that have just come have not taken yet what they will.
      const KsmSample& before = samples_[row - std::min<std::size_t>(row, 30)];
      if (before.enlisted_starts_total != samples_[row].enlisted_starts_total) continue;
      samples.add(samples_[row].enlisted_desktops, taken_at(row));
    }
    return samples.fit();
  }
  [[nodiscard]] Resource memory_at(std::size_t row) const {
    const HostMemory& host = hosts_[row].memory;
    Resource memory;
    memory.name = "memory";
    memory.unit = "MiB";
    memory.limit = real(host.total) / real(kMib);
    memory.used = real(host.total - host.available) / real(kMib);
    memory.reserve = 2'048;
    memory.cost = learnt();
    return memory;
  }
};

TEST_F(AdmissionReplay, LearnsWhatOneTakesFromStartsAndAStop) {
  const MarginalCost cost = learnt();
  EXPECT_TRUE(cost.measured);
  const double each = taken_at(samples_.size() - 1) / samples_.back().enlisted_desktops;
  EXPECT_NEAR(cost.each, each, each / 10);
}

TEST_F(AdmissionReplay, WhatItSaysIsWhatTheHostHasLeft) {
  std::uint32_t fewest = UINT32_MAX;
  std::uint32_t most = 0;
  for (std::size_t row = 0; row < hosts_.size(); ++row) {
    const Resource memory = memory_at(row);
    const Capacity now = capacity({memory});
    EXPECT_EQ(now.first_out, 0U);
    EXPECT_TRUE(now.measured);
    const double left = memory.limit - memory.reserve - memory.used;
    EXPECT_LE(now.more * memory.cost.each, left) << "row " << row;
    EXPECT_GT((now.more + 1) * memory.cost.each, left) << "row " << row;
    EXPECT_EQ(refusal("icewm", {memory}), "");
    fewest = std::min(fewest, now.more);
    most = std::max(most, now.more);
  }
  EXPECT_LT(fewest, most) << "the compilers were there";
}

/// The same host in a group that had just room for these four.
TEST_F(AdmissionReplay, RefusesTheFifthWhereFourFill) {
  const std::size_t row = hosts_.size() - 1;
  Resource group = memory_at(row);
  group.name = "memory in group panal";
  group.used = taken_at(row);
  group.reserve = 32;
  group.limit = group.used + group.reserve + group.cost.each / 2;
  const Capacity now = capacity({memory_at(row), group});
  EXPECT_EQ(now.more, 0U);
  EXPECT_EQ(now.first_out, 1U);
  EXPECT_NE(refusal("icewm", {memory_at(row), group}), "");
}

}  // namespace
}  // namespace panal::policy
