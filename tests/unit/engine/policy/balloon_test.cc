#include "engine/policy/balloon.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

/// A guest in a model: it wants so much; what it does not get goes to its swap.
struct Guest {
  DesktopId id = 0;
  SessionClass session = SessionClass::kActive;
  double memory = 1024.0 * kMib;
  double balloon = 0;
  double demand = 300.0 * kMib;
  std::uint64_t swapped_pages = 0;

  [[nodiscard]] BalloonGuest told(MonotonicNs at_ns) const {
    BalloonGuest guest;
    guest.id = id;
    guest.session = session;
    guest.memory_bytes = whole(memory);
    guest.balloon_bytes = whole(balloon);
    guest.available_bytes = whole(memory - balloon - demand);
    guest.swap_out_pages = swapped_pages;
    guest.told_at_ns = at_ns;
    return guest;
  }
};

class Machine {
 public:
  explicit Machine(std::vector<Guest> some) : guests(std::move(some)) {}

  /// One look, and what it decides carried out in full.
  void look(MonotonicNs at_ns) {
    BalloonInput input;
    input.at_ns = at_ns;
    double used = 0;
    for (Guest& guest : guests) {
      const double has = guest.memory - guest.balloon;
      if (guest.demand > has) guest.swapped_pages += whole(guest.demand - has) / kPageBytes + 1;
      used += has;
      input.guests.push_back(guest.told(at_ns));
    }
    input.host_available_bytes = whole(std::max(0.0, total - used));
    input.host_reserve_bytes = whole(reserve);
    for (const BalloonDecision& decision : balloon.decide(input))
      for (Guest& guest : guests)
        if (guest.id == decision.desktop) guest.balloon = real(decision.balloon_bytes);
  }
  [[nodiscard]] double free() const {
    double used = 0;
    for (const Guest& guest : guests) used += guest.memory - guest.balloon;
    return total - used;
  }

  std::vector<Guest> guests;
  double total = 3'000.0 * kMib;
  double reserve = 300.0 * kMib;
  Balloon balloon;
};

Machine three_guests() {
  std::vector<Guest> guests(3);
  for (std::size_t i = 0; i < guests.size(); ++i) guests[i].id = static_cast<DesktopId>(i + 1);
  return Machine(std::move(guests));
}

TEST(Balloon, TheAbsentGiveFirstAndTheActiveLast) {
  Machine host = three_guests();
  host.total = 2'600.0 * kMib;
  host.guests[1].session = SessionClass::kIdle;
  host.guests[2].session = SessionClass::kDisconnected;
  for (int i = 0; i < 60; ++i) host.look(i * 5 * kSecond);
  EXPECT_GT(host.guests[2].balloon, host.guests[1].balloon);
  EXPECT_GT(host.guests[1].balloon, host.guests[0].balloon);
  for (const Guest& guest : host.guests) EXPECT_EQ(guest.swapped_pages, 0U) << guest.id;
}

TEST(Balloon, NeverDrivesAGuestIntoItsSwapByAlternatingDemand) {
  Machine host = three_guests();
  host.total = 2'600.0 * kMib;
  // The slides' danger: each in turn wants 200 MiB more for a minute, in steps a desktop makes.
  for (int i = 0; i < 720; ++i) {
    for (std::size_t g = 0; g < host.guests.size(); ++g) {
      const bool turn = static_cast<std::size_t>(i / 12) % host.guests.size() == g;
      Guest& guest = host.guests[g];
      const double goal = (turn ? 500.0 : 300.0) * kMib;
      guest.demand += std::clamp(goal - guest.demand, -40.0 * kMib, 40.0 * kMib);
    }
    host.look(i * 5 * kSecond);
    for (const Guest& guest : host.guests)
      ASSERT_EQ(guest.swapped_pages, 0U) << "guest " << guest.id << ", look " << i;
  }
}

TEST(Balloon, AGuestThatSwapsGetsMemoryAndIsLeftAlone) {
  Machine host = three_guests();
  host.guests[0].balloon = 600.0 * kMib;
  host.guests[0].demand = 424.0 * kMib;
  host.look(0);
  host.guests[0].swapped_pages += 1000;
  const double before = host.guests[0].balloon;
  host.look(5 * kSecond);
  EXPECT_LT(host.guests[0].balloon, before);
  const double given = host.guests[0].balloon;
  host.guests[0].demand = 100.0 * kMib;
  host.look(10 * kSecond);
  EXPECT_LE(host.guests[0].balloon, given) << "not squeezed again at once";
}

TEST(Balloon, MovesNothingInsideTheDeadZoneAndNothingOfTheSilent) {
  Machine host = three_guests();
  for (int i = 0; i < 120; ++i) host.look(i * 5 * kSecond);
  BalloonInput input;
  input.at_ns = 600 * kSecond;
  input.host_available_bytes = whole(host.free());
  input.host_reserve_bytes = whole(host.reserve);
  for (const Guest& guest : host.guests) input.guests.push_back(guest.told(600 * kSecond));
  EXPECT_TRUE(host.balloon.decide(input).empty()) << "settled";
  for (BalloonGuest& guest : input.guests) guest.told_at_ns = 500 * kSecond;
  input.host_available_bytes = 0;
  EXPECT_TRUE(host.balloon.decide(input).empty()) << "numbers that are 100 s old";
}

}  // namespace
}  // namespace panal::policy
