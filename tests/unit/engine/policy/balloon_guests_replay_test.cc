// The balloon law on traces of several guests (tests/fixtures/traces/balloon-*.trace, made by
// make_balloon): each wants what the trace says, what the law decides is carried out before the
// next look, and what a guest does not get goes to its swap.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <ostream>
#include <string>

#include "engine/policy/balloon.h"
#include "engine/policy/units.h"
#include "tests/unit/engine/policy/recorded_trace.h"

namespace panal::policy {
namespace {

constexpr double kMibs = 1 << 20;
constexpr double kGuestBytes = 1024 * kMibs;
constexpr double kHostReserve = 300 * kMibs;
/// All of them are overcommitted from the first look on.
constexpr double kFirstBalloon = 560 * kMibs;
/// Of one guest of that size, as the law has it; a move smaller than that is not made.
constexpr double kDeadZone = 10.24 * kMibs;

struct GuestsCase {
  const char* trace;
  double host_mib;
  std::size_t guests;
  std::size_t calm_from;  ///< row from which on nobody wants anything else

  friend std::ostream& operator<<(std::ostream& out, const GuestsCase& one) {
    return out << one.trace;
  }
};

struct Move {
  std::size_t row = 0;
  std::size_t guest = 0;
  double bytes = 0;  ///< of the balloon
};

struct Row {
  double host_available = 0;
  std::vector<BalloonGuest> guests;  ///< as the law was told
};

struct GuestsReplay {
  std::vector<Row> rows;
  std::vector<Move> moves;
  std::vector<double> swapped;           ///< bytes, because of the balloon
  std::vector<double> least_available;   ///< bytes
  double least_host_available = 1e18;    ///< bytes
  std::vector<std::string> taken_below;  ///< inflations past a floor, in words
};

GuestsReplay replay_guests(const GuestsCase& one) {
  const Trace trace = recorded_trace(one.trace);
  const auto value = [&trace](const std::vector<std::optional<std::int64_t>>& row,
                              const std::string& name) {
    const auto at = std::find(trace.columns.begin(), trace.columns.end(), name);
    EXPECT_NE(at, trace.columns.end()) << name;
    return static_cast<double>(
        row[static_cast<std::size_t>(at - trace.columns.begin())].value_or(0));
  };
  GuestsReplay out;
  out.swapped.assign(one.guests, 0);
  out.least_available.assign(one.guests, kGuestBytes);
  std::vector<double> balloons(one.guests, kFirstBalloon);
  Balloon law;
  for (const auto& columns : trace.rows) {
    BalloonInput input;
    input.at_ns = static_cast<MonotonicNs>(value(columns, "time_ms")) * kMillisecond;
    double used = value(columns, "host_used_bytes");
    for (std::size_t i = 0; i < one.guests; ++i) {
      const std::string prefix = "guest" + std::to_string(i + 1) + "_";
      const double demand = value(columns, prefix + "demand_bytes");
      const double has = kGuestBytes - balloons[i];
      used += has;
      out.swapped[i] += std::max(0.0, demand - has);
      out.least_available[i] = std::min(out.least_available[i], has - demand);
      BalloonGuest told;
      told.id = static_cast<DesktopId>(i + 1);
      told.session = static_cast<SessionClass>(value(columns, prefix + "class"));
      told.memory_bytes = whole(kGuestBytes);
      told.balloon_bytes = whole(balloons[i]);
      told.available_bytes = whole(has - demand);
      told.swap_out_pages =
          whole(value(columns, prefix + "own_swap_out_pages")) + whole(out.swapped[i]) / kPageBytes;
      told.told_at_ns = input.at_ns;
      input.guests.push_back(told);
    }
    const double available = one.host_mib * kMibs - used;
    out.least_host_available = std::min(out.least_host_available, available);
    input.host_available_bytes = whole(available);
    input.host_reserve_bytes = whole(kHostReserve);
    out.rows.push_back({available, input.guests});
    for (const BalloonDecision& decision : law.decide(input)) {
      const auto i = static_cast<std::size_t>(decision.desktop - 1);
      const double move = real(decision.balloon_bytes) - balloons.at(i);
      out.moves.push_back({out.rows.size() - 1, i, move});
      const double left = real(input.guests[i].available_bytes) - move;
      if (move > 0 && left + kPageBytes < real(law.floor_bytes(decision.desktop)))
        out.taken_below.push_back("guest " + std::to_string(decision.desktop) + " in row " +
                                  std::to_string(out.rows.size() - 1));
      balloons[i] = real(decision.balloon_bytes);
    }
  }
  EXPECT_GT(out.rows.size(), one.calm_from);
  return out;
}

constexpr GuestsCase kAlternating{"balloon-alternating.trace", 3200, 4, 275};
constexpr GuestsCase kRamp{"balloon-ramp.trace", 2800, 3, 210};
constexpr GuestsCase kShortHost{"balloon-short-host.trace", 4000, 4, 305};
constexpr GuestsCase kOwnSwap{"balloon-own-swap.trace", 2900, 3, 160};

class BalloonGuests : public ::testing::TestWithParam<GuestsCase> {};

TEST_P(BalloonGuests, NoneIsDrivenIntoItsSwapNorBelowItsFloorNorTheHostBelowHalfItsReserve) {
  const GuestsReplay run = replay_guests(GetParam());
  for (std::size_t i = 0; i < run.swapped.size(); ++i) {
    EXPECT_EQ(run.swapped[i], 0) << "guest " << i + 1;
    EXPECT_GT(run.least_available[i], 24 * kMibs) << "guest " << i + 1;
  }
  EXPECT_TRUE(run.taken_below.empty()) << run.taken_below.front();
  EXPECT_GE(run.least_host_available, kHostReserve / 2);
}

TEST_P(BalloonGuests, MovesNoBalloonToAndFroWhileNothingHappens) {
  const GuestsReplay run = replay_guests(GetParam());
  std::map<std::size_t, std::vector<Move>> calm;
  for (const Move& move : run.moves) {
    EXPECT_GE(std::abs(move.bytes) + kPageBytes, kDeadZone) << "row " << move.row;
    if (move.row >= GetParam().calm_from) calm[move.guest].push_back(move);
  }
  for (const auto& [guest, moves] : calm) {
    // Floors sink while a guest does well, slowly, and balloons follow them: one way.
    EXPECT_LE(moves.size(), 3U) << "guest " << guest + 1;
    for (const Move& move : moves)
      EXPECT_EQ(move.bytes > 0, moves.front().bytes > 0) << "guest " << guest + 1;
  }
}

INSTANTIATE_TEST_SUITE_P(Traces, BalloonGuests,
                         ::testing::Values(kAlternating, kRamp, kShortHost, kOwnSwap));

TEST(BalloonTraces, WhoIsAwayGivesFirstAndTheActiveLast) {
  const GuestsReplay run = replay_guests(kShortHost);
  // The classes of the trace: active, idle, disconnected, active.
  for (const std::size_t row : {std::size_t{50}, std::size_t{235}}) {
    const auto available = [&](std::size_t guest) {
      return real(run.rows[row].guests[guest].available_bytes);
    };
    EXPECT_GT(std::min(available(0), available(3)), available(1) + 50 * kMibs) << "row " << row;
    EXPECT_GT(available(1), available(2) + 20 * kMibs) << "row " << row;
    EXPECT_NEAR(available(0), available(3), 2 * kDeadZone) << "row " << row;
  }
  // The absent had given all before, so what the host lacks then comes of the others by weight.
  EXPECT_NEAR(real(run.rows[235].guests[2].balloon_bytes),
              real(run.rows[50].guests[2].balloon_bytes), 3 * kDeadZone);
  EXPECT_GT(run.rows[235].guests[0].balloon_bytes, run.rows[50].guests[0].balloon_bytes);
}

TEST(BalloonTraces, WhoOpensSomethingHugeHasAllOfItsMemoryWithinAFewLooks) {
  const GuestsReplay run = replay_guests(kRamp);
  EXPECT_LT(real(run.rows[70].guests[0].balloon_bytes), kDeadZone) << "ten looks after it began";
  EXPECT_GT(run.rows[58].guests[0].balloon_bytes, 100 * kMibs) << "and it had given some before";
  EXPECT_GT(run.rows[205].guests[0].balloon_bytes, 100 * kMibs) << "as it does after";
}

TEST(BalloonTraces, WhoSwapsByItselfIsGivenMemoryAndNotSqueezedForMinutes) {
  const GuestsReplay run = replay_guests(kOwnSwap);
  // It swaps in rows 81 to 110 and wants little again from 130 on.
  for (const Move& move : run.moves) {
    const bool squeezed = move.guest == 0 && move.bytes > 0 && move.row > 80;
    EXPECT_FALSE(squeezed && move.row < 140) << "row " << move.row;
  }
  EXPECT_LT(real(run.rows[112].guests[0].balloon_bytes), kDeadZone) << "all that is worth a move";
  EXPECT_LT(run.rows.back().guests[0].balloon_bytes, 200 * kMibs) << "its floor was learnt";
}

}  // namespace
}  // namespace panal::policy
