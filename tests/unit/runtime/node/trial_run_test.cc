#include "runtime/node/trial_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "runtime/node/png.h"

namespace panal::node {
namespace {

using agent::Picture;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

/// So many pixels of 1000 have another colour.
Picture picture(std::size_t others) {
  Picture out{.width = 100, .height = 10, .pixels = std::string(4000, '\0')};
  for (std::size_t i = 0; i < others; ++i) out.pixels[i * 4] = '\x40';
  return out;
}

/// Does as it is told, and keeps the time itself.
class FakeHands final : public TrialHands {
 public:
  std::vector<std::string> calls;
  std::string fails;  ///< the call that does
  int code = EIO;     ///< with
  int blank = 0;      ///< pictures until something is painted
  std::uint32_t windows = 2;
  bool dies = false;  ///< its session, once something is painted
  milliseconds waited{0};

  Result<void> start() override { return step("start"); }
  Result<void> show() override { return step("show"); }
  Result<std::uint32_t> settle() override {
    PANAL_TRY(step("settle"));
    return windows;
  }
  Result<Picture> picture() override {
    PANAL_TRY(step("picture"));
    return node::picture(blank-- > 0 ? 0 : 500);
  }
  Result<void> wait(milliseconds span) override {
    waited += span;
    if (dies && blank < 0) return fail(ECHILD, "its session ended: it crashed");
    return {};
  }
  Result<void> end() override { return step("end"); }

 private:
  Result<void> step(const std::string& name) {
    if (calls.empty() || calls.back() != name) calls.push_back(name);
    if (name == fails) return fail(code, name + " failed");
    return {};
  }
};

TrialOutcome run(FakeHands& hands) {
  return run_trial(hands, [](const std::string& text) { EXPECT_FALSE(text.empty()); });
}

TEST(Trial, IsGoodWhenWindowsArePainted) {
  FakeHands hands;
  hands.blank = 3;
  const TrialOutcome outcome = run(hands);
  EXPECT_TRUE(outcome.good) << outcome.reason;
  EXPECT_EQ(outcome.reason, "");
  EXPECT_EQ(outcome.windows, 2U);
  ASSERT_TRUE(outcome.picture);
  EXPECT_TRUE(is_painted(*outcome.picture)) << "the last, not the first";
  EXPECT_THAT(hands.calls, ElementsAre("start", "show", "settle", "picture", "end"));
}

TEST(Trial, WhateverFailsIsToldAndCleanedUp) {
  for (const char* step : {"start", "show", "settle", "picture"}) {
    FakeHands hands;
    hands.fails = step;
    const TrialOutcome outcome = run(hands);
    EXPECT_FALSE(outcome.good) << step;
    EXPECT_FALSE(outcome.called_off) << step;
    EXPECT_EQ(outcome.reason, std::string(step) + " failed");
    EXPECT_EQ(hands.calls.back(), "end") << step;
  }
}

TEST(Trial, ABlankScreenIsNoDesktop) {
  FakeHands hands;
  hands.blank = 1'000'000;
  const TrialOutcome outcome = run(hands);
  EXPECT_FALSE(outcome.good);
  EXPECT_THAT(outcome.reason, HasSubstr("one colour"));
  EXPECT_TRUE(outcome.picture) << "somebody will want to see it";
  EXPECT_GE(hands.waited, kPaintLimit);
  EXPECT_LE(hands.waited, kPaintLimit + kPaintPause);
}

TEST(Trial, ASessionThatDiesWhileItIsLookedAtIsNone) {
  FakeHands hands;
  hands.dies = true;
  const TrialOutcome outcome = run(hands);
  EXPECT_FALSE(outcome.good);
  EXPECT_THAT(outcome.reason, HasSubstr("it crashed"));
}

TEST(Trial, OneThatIsCalledOffSaysNothingOfTheVersion) {
  FakeHands hands;
  hands.fails = "settle";
  hands.code = ECANCELED;
  const TrialOutcome outcome = run(hands);
  EXPECT_FALSE(outcome.good);
  EXPECT_TRUE(outcome.called_off);
  EXPECT_EQ(hands.calls.back(), "end");
}

TEST(Trial, OneThatCannotBeRemovedIsNotGood) {
  FakeHands hands;
  hands.fails = "end";
  const TrialOutcome outcome = run(hands);
  EXPECT_FALSE(outcome.good);
  EXPECT_THAT(outcome.reason, HasSubstr("could not be removed"));
}

TEST(Trial, OneInAThousandPixelsIsPaint) {
  EXPECT_FALSE(is_painted(picture(0)));
  EXPECT_TRUE(is_painted(picture(1)));
  EXPECT_TRUE(is_painted(picture(999)));
  EXPECT_FALSE(is_painted(picture(1000))) << "one colour again";
  EXPECT_FALSE(is_painted({}));
  Picture padded = picture(0);
  padded.pixels[3] = '\x7f';
  EXPECT_FALSE(is_painted(padded)) << "the fourth byte has no meaning";
}

TEST(Png, HasTheSizeAndTheColours) {
  Picture two{.width = 2, .height = 1, .pixels = std::string(8, '\0')};
  const std::uint32_t red = 0xff0000;
  std::memcpy(two.pixels.data(), &red, sizeof(red));
  const auto png = png_of(two);
  ASSERT_TRUE(png) << png.error().message();
  EXPECT_EQ(png->substr(0, 8), "\x89PNG\r\n\x1a\n");
  EXPECT_EQ(png->substr(12, 4), "IHDR");
  EXPECT_EQ(png->substr(16, 8), std::string("\0\0\0\2\0\0\0\1", 8));
  EXPECT_THAT(*png, HasSubstr("IEND"));
  two.pixels.pop_back();
  EXPECT_EQ(png_of(two).error().code, EINVAL);
  EXPECT_EQ(png_of({}).error().code, EINVAL);
}

}  // namespace
}  // namespace panal::node
