// Laws that look at the whole host, on a recording of one
// (tests/fixtures/traces): desktops started on it, lived, a part of them was
// stopped and started again, and there was memory enough.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/policy/last_resort.h"
#include "engine/policy/start_gate.h"
#include "engine/policy/units.h"
#include "tests/unit/engine/policy/recorded_trace.h"

namespace panal::policy {
namespace {

class HostReplay : public ::testing::Test {
 protected:
  void SetUp() override {
    const Trace trace = recorded_trace(kIcewmTrace);
    hosts_ = snapshots_of(trace);
    ASSERT_GT(hosts_.size(), 60U);
    ASSERT_TRUE(hosts_.front().pressure.memory && hosts_.front().pressure.io);
    reserve_ = std::max(hosts_.front().memory.total / 100 * 8,
                        1024 * kMib);  // profile dense
  }

  std::vector<Snapshot> hosts_;
  std::uint64_t reserve_ = 0;
};

TEST_F(HostReplay, TheStartGateStaysOpenOnAHostThatBearsItsStarts) {
  StartGate gate;
  std::uint32_t shut = 0;
  std::uint32_t widest = 0;
  for (const Snapshot& host : hosts_) {
    StartGateInput input;
    input.at_ns = host.at_ns;
    input.pressure = host.pressure;
    input.cores = host.cpu.cores;
    input.available_bytes = host.memory.available;
    input.reserve_bytes = reserve_;
    input.start_bytes = 50 * kMib;
    input.in_flight = std::min(widest, 2U);
    const StartGateDecision decision = gate.decide(input);
    EXPECT_NE(decision.reason, GateReason::kMemory) << "there is memory enough";
    if (decision.reason == GateReason::kStalls) ++shut;
    widest = std::max(widest, decision.window);
    gate.ended(kSecond);
  }
  EXPECT_LE(shut, hosts_.size() / 20) << "of " << hosts_.size() << " seconds";
  EXPECT_GE(widest, 4U);
}

TEST_F(HostReplay, ThereIsNoDanger) {
  for (std::size_t i = 1; i < hosts_.size(); ++i) {
    const Snapshot& before = hosts_[i - 1];
    const Snapshot& now = hosts_[i];
    DangerInput input;
    input.available_bytes = now.memory.available;
    input.reserve_bytes = reserve_;
    if (before.pressure.memory->full && now.pressure.memory->full)
      input.memory_full_share =
          real(grown(before.pressure.memory->full->total_us, now.pressure.memory->full->total_us)) /
          1e6 / seconds(now.at_ns - before.at_ns);
    input.scanned_pages = grown(before.vm.scan, now.vm.scan);
    input.reclaimed_pages = grown(before.vm.steal, now.vm.steal);
    input.refault_pages = grown(before.vm.refault_anon, now.vm.refault_anon) +
                          grown(before.vm.refault_file, now.vm.refault_file);
    EXPECT_EQ(danger_of(input), Danger::kNone) << "row " << i;
  }
}

}  // namespace
}  // namespace panal::policy
