#include "engine/policy/start_gate.h"

#include <gtest/gtest.h>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

/// A quiet host of two cores with room for a hundred desktops.
StartGateInput quiet() {
  StartGateInput input;
  input.pressure.memory = Pressure{{}, PressureLine{}};
  input.pressure.io = Pressure{{}, PressureLine{}};
  input.run_queue = 2;
  input.cores = 2;
  input.available_bytes = 12'000 * kMib;
  input.reserve_bytes = 2'000 * kMib;
  input.start_bytes = 100 * kMib;
  return input;
}

/// All that may start does, and ends within the second.
std::uint32_t second_of(StartGate& gate, StartGateInput& input) {
  input.at_ns += kSecond;
  const StartGateDecision decision = gate.decide(input);
  for (std::uint32_t i = 0; i < decision.may_start; ++i) gate.ended(kSecond / 2);
  return decision.may_start;
}

TEST(StartGate, OpensWiderWhileTheHostBearsIt) {
  StartGate gate;
  StartGateInput input = quiet();
  const std::uint32_t first = second_of(gate, input);
  EXPECT_GE(first, 1U);
  std::uint32_t last = 0;
  for (int i = 0; i < 8; ++i) last = second_of(gate, input);
  EXPECT_GT(last, 4 * first);
  EXPECT_LE(last, 64U);
}

TEST(StartGate, HalvesOnceForOneDistressAndGrowsSlowlyAfterIt) {
  StartGate gate;
  StartGateInput input = quiet();
  for (int i = 0; i < 4; ++i) (void)second_of(gate, input);
  const std::uint32_t before = gate.decide(input).window;
  input.run_queue = 40;
  input.at_ns += kSecond / 10;
  input.in_flight = before;
  const std::uint32_t halved = gate.decide(input).window;
  EXPECT_EQ(halved, before / 2);
  input.at_ns += kSecond / 10;
  EXPECT_EQ(gate.decide(input).window, halved) << "those that run now are the same distress";
  input.run_queue = 2;
  input.in_flight = 0;
  (void)second_of(gate, input);
  (void)second_of(gate, input);
  EXPECT_LE(gate.decide(input).window, halved + 4) << "no doubling any more";
}

TEST(StartGate, StopsForStallsButNeverForEver) {
  StartGate gate;
  StartGateInput input = quiet();
  (void)gate.decide(input);
  input.at_ns += kSecond;
  input.pressure.memory->some.total_us = 200'000;
  input.in_flight = 1;
  const StartGateDecision held = gate.decide(input);
  EXPECT_EQ(held.may_start, 0U);
  EXPECT_EQ(held.reason, GateReason::kStalls);
  input.at_ns += kSecond;
  input.pressure.memory->some.total_us = 400'000;
  input.in_flight = 0;
  EXPECT_GE(gate.decide(input).may_start, 1U) << "one at a time still comes through";
}

TEST(StartGate, CountsWhatThoseInFlightWillTake) {
  struct Case {
    const char* what;
    std::uint64_t available_mib;
    std::uint32_t in_flight;
    std::uint32_t at_most;
    GateReason reason;
  };
  const Case cases[] = {
      {"room for two", 2'250, 0, 2, GateReason::kOpen},
      {"room for two, two in flight", 2'250, 2, 0, GateReason::kMemory},
      {"none", 2'050, 0, 0, GateReason::kMemory},
      {"below the reserve", 1'000, 0, 0, GateReason::kMemory},
  };
  for (const Case& one : cases) {
    StartGate gate;
    StartGateInput input = quiet();
    input.available_bytes = one.available_mib * kMib;
    input.in_flight = one.in_flight;
    const StartGateDecision decision = gate.decide(input);
    EXPECT_LE(decision.may_start, one.at_most) << one.what;
    EXPECT_EQ(decision.may_start > 0, one.at_most > 0) << one.what;
    EXPECT_EQ(decision.reason, one.reason) << one.what;
  }
}

}  // namespace
}  // namespace panal::policy
