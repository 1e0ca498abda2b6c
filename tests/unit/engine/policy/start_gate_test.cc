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
  ASSERT_TRUE(gate.stall());
  EXPECT_FALSE(gate.stall()->all);
  EXPECT_EQ(gate.stall()->resource, "memory");
  EXPECT_NEAR(gate.stall()->share, 0.2, 1e-9);
  EXPECT_EQ(gate.stall()->most, 0.05);
  input.at_ns += kSecond;
  input.pressure.memory->some.total_us = 400'000;
  input.in_flight = 0;
  EXPECT_GE(gate.decide(input).may_start, 1U) << "one at a time still comes through";
}

TEST(StartGate, TakesForDistressWhatItsSettingsSay) {
  struct Waited {
    std::uint64_t memory_some = 0, memory_full = 0, io_some = 0, io_full = 0, cpu_some = 0;
  };
  const auto with = [](auto set) {
    StartGateConfig config;
    set(config);
    return config;
  };
  const StartGateConfig usual;
  constexpr std::uint64_t kPercent = 10'000;  // us in a second
  struct Case {
    const char* what;
    StartGateConfig config;
    Waited waited;
    double run_queue;
    bool narrower;  ///< the window is halved
    bool shut;      ///< and nothing starts beside what runs
  };
  const Case cases[] = {
      {"quiet", usual, {}, 2, false, false},
      {"some wait for memory", usual, {.memory_some = 6 * kPercent}, 2, true, true},
      {"hardly any", usual, {.memory_some = 4 * kPercent}, 2, false, false},
      {"more is allowed",
       with([](auto& c) { c.memory_some = 0.10; }),
       {.memory_some = 6 * kPercent},
       2,
       false,
       false},
      {"all wait for memory", usual, {.memory_full = 2 * kPercent}, 2, true, true},
      {"which is allowed",
       with([](auto& c) { c.memory_full = 0.03; }),
       {.memory_full = 2 * kPercent},
       2,
       false,
       false},
      {"all wait for the disk", usual, {.io_full = 21 * kPercent}, 2, true, true},
      {"which is allowed",
       with([](auto& c) { c.io_full = 0.30; }),
       {.io_full = 21 * kPercent},
       2,
       false,
       false},
      {"some wait for the disk", usual, {.io_some = 99 * kPercent}, 2, false, false},
      {"which is not allowed",
       with([](auto& c) { c.io_some = 0.20; }),
       {.io_some = 21 * kPercent},
       2,
       true,
       true},
      {"some wait for a CPU", usual, {.cpu_some = 99 * kPercent}, 2, false, false},
      {"which is not allowed",
       with([](auto& c) { c.cpu_some = 0.50; }),
       {.cpu_some = 51 * kPercent},
       2,
       true,
       false},
      {"more than a second's worth, by another clock",
       usual,
       {.io_some = 101 * kPercent},
       2,
       false,
       false},
      {"a queue", usual, {}, 17, true, false},
      {"which is allowed", with([](auto& c) { c.runnable_per_core = 10; }), {}, 17, false, false},
  };
  for (const Case& one : cases) {
    StartGate gate(one.config);
    StartGateInput input = quiet();
    input.pressure.cpu = Pressure{{}, PressureLine{}};
    const std::uint32_t before = gate.decide(input).window;
    input.at_ns += kSecond;
    input.in_flight = 1;
    input.run_queue = one.run_queue;
    input.pressure.memory->some.total_us = one.waited.memory_some;
    input.pressure.memory->full->total_us = one.waited.memory_full;
    input.pressure.io->some.total_us = one.waited.io_some;
    input.pressure.io->full->total_us = one.waited.io_full;
    input.pressure.cpu->some.total_us = one.waited.cpu_some;
    const StartGateDecision now = gate.decide(input);
    EXPECT_EQ(now.window, one.narrower ? before / 2 : before) << one.what;
    EXPECT_EQ(now.may_start == 0, one.shut) << one.what;
    if (one.shut) {
      EXPECT_EQ(now.reason, GateReason::kStalls) << one.what;
    }
  }
}

TEST(StartGate, BeginsWithAsManyAsItIsTold) {
  for (const std::uint32_t first : {1U, 4U, 64U}) {
    StartGateConfig config;
    config.first_window = first;
    EXPECT_EQ(StartGate(config).decide(quiet()).may_start, first);
  }
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
