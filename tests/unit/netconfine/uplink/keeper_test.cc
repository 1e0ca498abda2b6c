#include "netconfine/uplink/keeper.h"

#include <gtest/gtest.h>

namespace panal::netconfine {
namespace {

// A way out that may be other than it was made, and faults that keep it so.
class FakeUplink final : public Uplink {
 public:
  Result<std::vector<std::string>> describe() override { return std::vector<std::string>{}; }
  Result<void> up() override {
    ++ups;
    if (up_fails) return fail(EIO, "up");
    open = true;
    drifted = false;
    return {};
  }
  Result<void> down() override {
    open = false;
    return {};
  }
  Result<std::vector<Drift>> audit() override {
    if (audit_fails) return fail(EAGAIN, "look");
    std::vector<Drift> drifts;
    if (!open) drifts.push_back({"link", "is down"});
    if (drifted) drifts.push_back({"table", "is missing"});
    return drifts;
  }
  Result<void> cut_off() override {
    if (cut_fails) return fail(EIO, "cut");
    open = false;
    return {};
  }

  bool open = false, drifted = false;
  bool up_fails = false, audit_fails = false, cut_fails = false;
  int ups = 0;
};

class Keeper : public ::testing::Test {
 protected:
  FakeUplink uplink_;
  UplinkKeeper keeper_{uplink_, Logger::silent()};
};

TEST_F(Keeper, MakesItOnceAndMendsWhatIsOther) {
  ASSERT_TRUE(keeper_.keep());
  EXPECT_TRUE(uplink_.open);
  ASSERT_TRUE(keeper_.keep());
  EXPECT_EQ(uplink_.ups, 1) << "nothing is other than it was made";
  uplink_.drifted = true;
  ASSERT_TRUE(keeper_.keep());
  EXPECT_FALSE(uplink_.drifted);
  EXPECT_EQ(uplink_.ups, 2);
}

TEST_F(Keeper, WhatCannotBeLookedAtIsCutOffUntilItCan) {
  ASSERT_TRUE(keeper_.keep());
  uplink_.drifted = uplink_.audit_fails = true;
  const auto kept = keeper_.keep();
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().code, EAGAIN);
  EXPECT_FALSE(uplink_.open);
  ASSERT_FALSE(keeper_.keep());
  EXPECT_FALSE(uplink_.open) << "still";
  EXPECT_EQ(uplink_.ups, 1) << "it is not opened unseen";
  uplink_.audit_fails = false;
  ASSERT_TRUE(keeper_.keep());
  EXPECT_TRUE(uplink_.open);
  EXPECT_FALSE(uplink_.drifted);
}

TEST_F(Keeper, WhatCannotBeMendedIsCutOffUntilItCan) {
  ASSERT_TRUE(keeper_.keep());
  uplink_.drifted = uplink_.up_fails = true;
  ASSERT_FALSE(keeper_.keep());
  EXPECT_FALSE(uplink_.open);
  uplink_.up_fails = false;
  ASSERT_TRUE(keeper_.keep());
  EXPECT_TRUE(uplink_.open);
}

TEST_F(Keeper, TheFirstErrorIsTold) {
  uplink_.up_fails = uplink_.cut_fails = true;
  const auto kept = keeper_.keep();
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().context, "up");
}

}  // namespace
}  // namespace panal::netconfine
