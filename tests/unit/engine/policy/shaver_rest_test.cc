// Whom the shaver leaves alone, and for how long, in a model of desktops that fetch back what they
// need.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "engine/policy/shaver.h"
#include "engine/policy/units.h"

namespace panal::policy {
namespace {

constexpr MonotonicNs kRound = 6 * kSecond;
constexpr std::uint64_t kTotal = 24 * 1024 * kMib;
constexpr std::uint64_t kPlenty = 18 * 1024 * kMib;
constexpr std::uint64_t kReserve = 2 * 1024 * kMib;

/// Of its memory a part is touched again and again: what of it is out comes back then. Steps take
/// from both in proportion, as who goes through an address space does.
struct Model {
  double cold = 0, hot = 0;  ///< MiB in memory
  double hot_all = 0;        ///< MiB
  MonotonicNs touched_every = kMinute;
  MonotonicNs touched_ns = 0;

  void take(std::uint64_t bytes) {
    const double part = std::min(1.0, real(bytes) / real(kMib) / std::max(1e-9, cold + hot));
    cold -= cold * part;
    hot -= hot * part;
  }
  /// MiB that came back.
  double run(MonotonicNs now_ns) {
    if (now_ns - touched_ns < touched_every) return 0;
    touched_ns = now_ns;
    const double came = hot_all - hot;
    hot = hot_all;
    return came;
  }
};

class Rests : public ::testing::Test {
 protected:
  Rests() {
    input_.at_ns = 1000 * kMinute;
    input_.memory.total = kTotal;
    input_.memory.available = kPlenty;
    input_.memory.swap_total = input_.memory.swap_free = 2 * kTotal;
    input_.idle_cores = 2;
  }
  void add(SessionClass session, const Model& model) {
    ShaveDesktop one;
    one.id = static_cast<DesktopId>(models_.size()) + 1;
    one.session = session;
    one.session_since_ns = input_.at_ns;
    input_.desktops.push_back(one);
    models_.push_back(model);
  }
  /// Rounds for so long. MiB that were taken.
  double live(MonotonicNs span) {
    double taken = 0;
    for (const MonotonicNs until = input_.at_ns + span; input_.at_ns < until;) {
      input_.at_ns += kRound;
      for (std::size_t i = 0; i < models_.size(); ++i) {
        ShaveDesktop& one = input_.desktops[i];
        one.refault_pages += whole(models_[i].run(input_.at_ns) * 256);
        one.anon_bytes = whole((models_[i].cold + models_[i].hot) * real(kMib));
      }
      last_ = shaver_.decide(input_);
      for (std::size_t i = 0; i < models_.size(); ++i) {
        taken += real(last_[i].bytes) / real(kMib);
        models_[i].take(last_[i].bytes);
      }
    }
    return taken;
  }

  Shaver shaver_{ShaverConfig{.eagerness = 1, .reserve_bytes = kReserve, .freeze_after_ns = 0}};
  ShaveInput input_;
  std::vector<Model> models_;
  std::vector<ShaveDecision> last_;
};

/// As in the run of 382 desktops: 8 MiB come back within five minutes.
constexpr Model kXfce{42, 8, 8, kMinute, 0};

TEST_F(Rests, WhatIsColdGoesSoonAndWhatIsHotIsLeftAlone) {
  add(SessionClass::kIdle, kXfce);
  live(15 * kMinute);
  EXPECT_LT(models_[0].cold, 10);
  live(45 * kMinute);
  const double taken = live(120 * kMinute);
  EXPECT_LT(taken, 3 * 8) << "in two hours; every five minutes it would be 192";
  EXPECT_EQ(last_[0].reason, ShaveReason::kRefaults);
  EXPECT_TRUE(shaver_.rests(1, input_.at_ns));
}

/// 165 of 400 desktops are neither active nor frozen.
TEST_F(Rests, FourHundredDesktopsAtRestTakeNextToNoCpu) {
  for (int i = 0; i < 120; ++i) add(SessionClass::kIdle, kXfce);
  for (int i = 0; i < 45; ++i) add(SessionClass::kDisconnected, kXfce);
  live(90 * kMinute);
  const double per_second = live(60 * kMinute) / 3600;
  constexpr double kCpuSecondsPerMib = 0.009;  // of that run
  EXPECT_LT(per_second * kCpuSecondsPerMib, 0.005) << "of a core";
}

TEST_F(Rests, WhereLittleComesBackItGoesOn) {
  add(SessionClass::kDisconnected, Model{60, 0.2, 0.2, kMinute, 0});
  live(10 * kMinute);
  EXPECT_LT(models_[0].cold, 4) << "the floor is 2";
  EXPECT_FALSE(shaver_.rests(1, input_.at_ns));
}

TEST_F(Rests, OnlyWhereMemoryIsReallyShortItIsTriedEachMinute) {
  add(SessionClass::kIdle, kXfce);
  live(120 * kMinute);
  ASSERT_TRUE(shaver_.rests(1, input_.at_ns));
  input_.memory.available = kReserve + 1500 * kMib;  // need is 0.72
  EXPECT_EQ(live(4 * kMinute), 0);
  input_.memory.available = kReserve;
  EXPECT_GT(live(4 * kMinute), 2) << "down towards the floor of 6, if only for a minute";
  input_.memory.available = kPlenty;
  live(kMinute);
  EXPECT_EQ(live(10 * kMinute), 0) << "and then it is left alone again";
}

TEST_F(Rests, ANewClassBeginsAnew) {
  add(SessionClass::kIdle, kXfce);
  live(120 * kMinute);
  ASSERT_TRUE(shaver_.rests(1, input_.at_ns));
  input_.desktops[0].session = SessionClass::kFrozen;
  input_.desktops[0].session_since_ns = input_.at_ns;
  models_[0].touched_every = 1000 * kMinute;
  EXPECT_GT(live(2 * kMinute), 7) << "nothing of it fetches back any more";
  EXPECT_LT(models_[0].cold + models_[0].hot, 2.5);
}

TEST_F(Rests, WhatWasHotOnceIsTakenWhenItIsNoMore) {
  add(SessionClass::kDisconnected, kXfce);
  live(60 * kMinute);
  EXPECT_GT(models_[0].hot, 7);
  models_[0].touched_every = 1000 * kMinute;
  live(120 * kMinute);
  EXPECT_LT(models_[0].hot + models_[0].cold, 5);
}

TEST_F(Rests, TheFrozenThatGaveNothingIsAskedOnceAnHour) {
  add(SessionClass::kFrozen, Model{});
  input_.desktops[0].anon_bytes = 20 * kMib;
  int asked = 0;
  for (int round = 0; round < 600; ++round) {
    input_.at_ns += kRound;
    if (shaver_.decide(input_)[0].bytes > 0) ++asked;  // and nothing comes of it
  }
  EXPECT_EQ(asked, 3);
}

}  // namespace
}  // namespace panal::policy
