#include "runtime/optimiser/taker_choice.h"

#include <gmock/gmock.h>

#include <map>

#include "engine/policy/units.h"
#include "tests/unit/runtime/optimiser/fake_node.h"

namespace panal::optimiser {
namespace {

using policy::kMib;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A kernel in which each way does what it is told.
class FakeTrials final : public TakerTrials {
 public:
  [[nodiscard]] TakerTrial run(std::string_view way) override {
    asked.emplace_back(way);
    return {outcomes.at(std::string(way)), "as " + std::string(way) + " is here"};
  }
  std::map<std::string, TrialOutcome> outcomes = {{"reclaim", TrialOutcome::kRefused},
                                                  {"madvise", TrialOutcome::kTakes},
                                                  {"poke", TrialOutcome::kTakes}};
  std::vector<std::string> asked;
};

/// Brings what the test says, or an error.
struct Hand {
  int error = 0;
  std::uint64_t yield_bytes = kMib;
  std::vector<std::string> took;
};

class FakeTaker final : public MemoryTaker {
 public:
  FakeTaker(std::string_view name, Hand& hand) : name_(name), hand_(hand) {}
  [[nodiscard]] std::string_view name() const override { return name_; }
  [[nodiscard]] Result<Taken> take(const kernel::Cgroup& /*group*/, const TakeRequest& request,
                                   TakeCursor& /*cursor*/) override {
    hand_.took.emplace_back(name_);
    if (hand_.error != 0) return fail(hand_.error, "take");
    Taken taken;
    taken.before_bytes = 100 * kMib;
    taken.after_bytes = taken.before_bytes - hand_.yield_bytes;
    taken.asked_of_kernel_bytes = request.bytes;
    return taken;
  }

 private:
  std::string_view name_;
  Hand& hand_;
};

TEST(TakerTrial, WhatIsInSwapAfterwardsDecides) {
  EXPECT_EQ(judge_trial(kMib, kMib / 2, 9 * kMib).outcome, TrialOutcome::kTakes);
  EXPECT_THAT(judge_trial(kMib, kMib / 2, 9 * kMib).why, HasSubstr("512 of 1024 KiB"));
  EXPECT_EQ(judge_trial(kMib, 4096, 0).outcome, TrialOutcome::kTakes) << "the swap is full since";
  EXPECT_EQ(judge_trial(kMib, 0, 0).outcome, TrialOutcome::kNoSwap);
  EXPECT_EQ(judge_trial(kMib, 0, kMib / 2).outcome, TrialOutcome::kNoSwap);
  EXPECT_EQ(judge_trial(kMib, 0, 9 * kMib).outcome, TrialOutcome::kTakesNothing);
  EXPECT_FALSE(judge_trial(kMib, 0, 9 * kMib).good());
}

TEST(TakerChoice, TheFirstThatWorksAndWhyNotTheOnesBefore) {
  FakeTrials trials;
  const TakerChoice choice = choose_way(trials);
  EXPECT_EQ(choice.chosen(), "madvise");
  EXPECT_THAT(trials.asked, ElementsAre("reclaim", "madvise")) << "no more than is needed";
  EXPECT_EQ(choice.text(), "madvise: as madvise is here; not reclaim: as reclaim is here");
}

TEST(TakerChoice, OneThatOnlySaysSoIsPassedOver) {
  FakeTrials trials;
  trials.outcomes["reclaim"] = TrialOutcome::kTakesNothing;
  trials.outcomes["madvise"] = TrialOutcome::kRefused;
  EXPECT_EQ(choose_way(trials).chosen(), "poke");
  trials.outcomes["reclaim"] = TrialOutcome::kNoSwap;
  EXPECT_EQ(choose_way(trials).chosen(), "reclaim") << "swap may come later";
}

TEST(TakerChoice, NothingWorksIsSaid) {
  FakeTrials trials;
  for (auto& [way, outcome] : trials.outcomes) outcome = TrialOutcome::kRefused;
  const TakerChoice choice = choose_way(trials);
  EXPECT_EQ(choice.chosen(), "");
  EXPECT_THAT(choice.text(), HasSubstr("nothing works here"));
  EXPECT_THAT(choice.text(), HasSubstr("not poke: as poke is here"));
}

class Probed : public ::testing::Test {
 protected:
  void SetUp() override {
    node_.desktop(1, 64 * kMib);
    group_.emplace(std::move(*kernel::Cgroup::open(node_.root, "panal/" + kernel_name(1))));
  }
  std::unique_ptr<ProbedTaker> taker(std::chrono::seconds again = std::chrono::seconds(0)) {
    return std::make_unique<ProbedTaker>(ProbedTaker::Parts{
        node_.tree, trials_, Logger::silent(), again,
        [this](std::string_view way) { return std::make_unique<FakeTaker>(way, hand_); }});
  }
  Result<Taken> take(ProbedTaker& taker) {
    return taker.take(*group_, {8 * kMib, std::chrono::steady_clock::now()}, cursor_);
  }

  FakeNode node_;
  std::optional<kernel::Cgroup> group_;
  std::shared_ptr<FakeTrials> trials_ = std::make_shared<FakeTrials>();
  Hand hand_;
  TakeCursor cursor_;
};

TEST_F(Probed, TakesByWhatWasChosenAndSaysWhy) {
  const auto one = taker();
  EXPECT_EQ(one->name(), "madvise");
  EXPECT_THAT(one->why(), HasSubstr("not reclaim"));
  const auto taken = take(*one);
  ASSERT_TRUE(taken) << taken.error().message();
  EXPECT_EQ(taken->yield_bytes(), kMib);
  EXPECT_THAT(hand_.took, ElementsAre("madvise"));
}

TEST_F(Probed, WhatIsRefusedIsTriedOnOurOwnFirst) {
  const auto one = taker();
  hand_.error = EPERM;
  const auto refused = take(*one);
  ASSERT_FALSE(refused) << "of that desktop alone: our own is taken from as before";
  EXPECT_EQ(refused.error().code, EPERM);
  EXPECT_EQ(one->name(), "madvise");
  EXPECT_EQ(trials_->asked.back(), "madvise");

  trials_->outcomes["madvise"] = TrialOutcome::kRefused;
  cursor_.pid = 7;
  EXPECT_FALSE(take(*one));
  EXPECT_EQ(one->name(), "poke");
  EXPECT_EQ(hand_.took.back(), "poke") << "and the same step is done that way";
  EXPECT_EQ(cursor_.pid, 0) << "which begins anew";
  EXPECT_EQ(one->why(), "poke: as poke is here; not madvise: as madvise is here");
}

TEST_F(Probed, WhatBringsNothingAgainAndAgainIsTriedToo) {
  const auto one = taker();
  trials_->outcomes["madvise"] = TrialOutcome::kTakesNothing;
  hand_.yield_bytes = 0;
  for (int i = 0; i < 15; ++i) ASSERT_TRUE(take(*one));
  EXPECT_EQ(one->name(), "madvise");
  hand_.yield_bytes = 4096;
  ASSERT_TRUE(take(*one));
  hand_.yield_bytes = 0;
  for (int i = 0; i < 15; ++i) ASSERT_TRUE(take(*one));
  EXPECT_EQ(one->name(), "madvise") << "one page is enough to be believed";
  ASSERT_TRUE(take(*one));
  EXPECT_EQ(one->name(), "poke");
}

TEST_F(Probed, IsNotTriedAllTheTimeAndNotForADesktopThatIsGone) {
  const auto seldom = taker(std::chrono::seconds(60));
  const std::size_t tries = trials_->asked.size();
  hand_.error = EPERM;
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(take(*seldom));
  EXPECT_EQ(trials_->asked.size(), tries);

  const auto often = taker();
  const std::size_t before = trials_->asked.size();
  hand_.error = ENODEV;
  std::filesystem::remove(node_.files.path() + "/" + FakeNode::at(1, "memory.current"));
  EXPECT_FALSE(take(*often));
  EXPECT_EQ(trials_->asked.size(), before);
}

TEST_F(Probed, WhereNothingIsLeftEachTakeSaysSo) {
  for (auto& [way, outcome] : trials_->outcomes) outcome = TrialOutcome::kRefused;
  const auto one = taker();
  EXPECT_EQ(one->name(), "none");
  const auto refused = take(*one);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOTSUP);
  EXPECT_THAT(refused.error().message(), HasSubstr("nothing works here"));
  EXPECT_TRUE(hand_.took.empty());
}

}  // namespace
}  // namespace panal::optimiser
