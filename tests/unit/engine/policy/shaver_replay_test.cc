// The shaver on a recording of a host and its desktops (tests/fixtures/traces). A replay answers
// nothing: where a test has to know what came of a step, it says how it is reckoned.
#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <utility>

#include "engine/policy/ksm_trace.h"
#include "engine/policy/shaver.h"
#include "engine/policy/units.h"
#include "tests/unit/engine/policy/recorded_trace.h"

namespace panal::policy {
namespace {

constexpr std::size_t kRowsPerRound = 6;  ///< a row is a second
constexpr std::uint64_t kSwap = 8'192 * kMib;

class ShaverReplay : public RecordedHosts {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(RecordedHosts::SetUp());
    ASSERT_EQ(hosts_.front().memory.swap_total, 0U);
  }

  /// The desktops of that moment, each with an equal part of their memory, nobody connected.
  [[nodiscard]] ShaveInput seen_at(std::size_t row, std::uint64_t swap_bytes) const {
    ShaveInput input;
    input.at_ns = hosts_[row].at_ns;
    input.memory = hosts_[row].memory;
    input.memory.swap_total = input.memory.swap_free = swap_bytes;
    const auto count = static_cast<DesktopId>(samples_[row].enlisted_desktops);
    for (DesktopId id = 1; id <= count; ++id) {
      ShaveDesktop one;
      one.id = id;
      one.session = SessionClass::kDisconnected;
      one.session_since_ns = hosts_.front().at_ns;
      one.anon_bytes = samples_[row].enlisted_bytes / static_cast<std::uint64_t>(count);
      one.ksm_settled = true;
      input.desktops.push_back(one);
    }
    return input;
  }
};

TEST_F(ShaverReplay, TakesNothingWhileThereIsPlenty) {
  Shaver shaver({.reserve_bytes = 2'048 * kMib});
  for (std::size_t row = 0; row < hosts_.size(); row += kRowsPerRound) {
    EXPECT_EQ(shaver.need(seen_at(row, kSwap)), 0);
    for (const ShaveDecision& one : shaver.decide(seen_at(row, kSwap))) {
      EXPECT_EQ(one.bytes, 0U) << "row " << row;
      EXPECT_TRUE(one.reason == ShaveReason::kNextTime || one.reason == ShaveReason::kNotNeeded)
          << to_string(one.reason);
    }
  }
}

TEST_F(ShaverReplay, AsksForNothingThatHasNowhereToGo) {
  Shaver shaver({.eagerness = 1, .reserve_bytes = 2'048 * kMib, .freeze_after_ns = 0});
  std::map<ShaveReason, int> reasons;
  for (std::size_t row = 0; row < hosts_.size(); row += kRowsPerRound)
    for (const ShaveDecision& one : shaver.decide(seen_at(row, 0))) {
      EXPECT_EQ(one.bytes, 0U) << "row " << row;
      ++reasons[one.reason];
    }
  EXPECT_GT(reasons[ShaveReason::kNoSwapRoom], 60) << "of four in thirty rounds";
}

/// What was asked for does not come: the desktops stay as large as they were recorded.
TEST_F(ShaverReplay, AsksMoreAndMoreRarelyWhereNothingComes) {
  Shaver shaver({.eagerness = 1, .reserve_bytes = 2'048 * kMib, .freeze_after_ns = 0});
  std::map<DesktopId, std::vector<bool>> asked;
  bool backed_off = false;
  for (std::size_t row = 0; row < hosts_.size(); row += kRowsPerRound)
    for (const ShaveDecision& one : shaver.decide(seen_at(row, kSwap))) {
      asked[one.desktop].push_back(one.bytes > 0);
      backed_off = backed_off || one.reason == ShaveReason::kNoYield;
    }
  EXPECT_TRUE(backed_off);
  // The fourth was stopped and started: it began anew.
  for (DesktopId id = 1; id <= 3; ++id) {
    const auto& rounds = asked[id];
    EXPECT_GT(std::count(rounds.begin(), rounds.end(), true), 0) << id;
    EXPECT_LT(std::count(rounds.begin(), rounds.end(), true) * 2,
              static_cast<std::ptrdiff_t>(rounds.size()))
        << id;
  }
}

/// All that is taken is fetched back half a minute later.
TEST_F(ShaverReplay, TakesLessAndLessFromWhoFetchesBack) {
  Shaver shaver({.eagerness = 1, .reserve_bytes = 2'048 * kMib, .freeze_after_ns = 0});
  std::map<DesktopId, std::uint64_t> out, back_pages;
  std::vector<std::uint64_t> taken;  // by all, a round
  for (std::size_t row = 0; row < hosts_.size(); row += kRowsPerRound) {
    ShaveInput input = seen_at(row, kSwap);
    if (taken.size() % 5 == 0)
      for (auto& [id, bytes] : out) back_pages[id] += std::exchange(bytes, 0) / kPageBytes;
    for (ShaveDesktop& one : input.desktops) {
      one.anon_bytes = less(one.anon_bytes, out[one.id]);
      one.refault_pages = back_pages[one.id];
    }
    taken.push_back(0);
    for (const ShaveDecision& one : shaver.decide(input)) {
      out[one.desktop] += one.bytes;
      taken.back() += one.bytes;
    }
  }
  const auto half = taken.begin() + static_cast<std::ptrdiff_t>(taken.size() / 2);
  const std::uint64_t before = std::accumulate(taken.begin(), half, std::uint64_t{0});
  const std::uint64_t after = std::accumulate(half, taken.end(), std::uint64_t{0});
  EXPECT_GT(before, 0U);
  EXPECT_LT(after * 4, before) << "of a minute and a half each";
}

/// What was asked for comes, and stays away: each is as large as recorded, less what was taken.
TEST_F(ShaverReplay, GoesDownToTheFloorAndNoFurther) {
  Shaver shaver({.eagerness = 1, .reserve_bytes = 2'048 * kMib, .freeze_after_ns = 0});
  std::map<DesktopId, std::uint64_t> taken, left;
  std::map<DesktopId, ShaveReason> last;
  for (std::size_t row = 0; row < hosts_.size(); ++row) {
    if (samples_[row].enlisted_desktops < 4) taken.erase(4);
    if (row % kRowsPerRound != 0) continue;
    ShaveInput input = seen_at(row, kSwap);
    for (ShaveDesktop& one : input.desktops) one.anon_bytes = less(one.anon_bytes, taken[one.id]);
    const auto verdicts = shaver.decide(input);
    for (std::size_t i = 0; i < verdicts.size(); ++i) {
      ASSERT_LE(verdicts[i].bytes, input.desktops[i].anon_bytes);
      taken[verdicts[i].desktop] += verdicts[i].bytes;
      left[verdicts[i].desktop] = input.desktops[i].anon_bytes - verdicts[i].bytes;
      last[verdicts[i].desktop] = verdicts[i].reason;
    }
  }
  for (DesktopId id = 1; id <= 4; ++id) {
    EXPECT_LT(left[id], 5 * kMib) << id;
    EXPECT_EQ(last[id], ShaveReason::kAtFloor) << to_string(last[id]);
  }
}

}  // namespace
}  // namespace panal::policy
