#include "runtime/node/cost_meter.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace panal::node {
namespace {

using std::chrono::milliseconds;

class CostMeterTest : public ::testing::Test {
 protected:
  /// Desktop 1 has one process (that of the captured host), 2 has it twice, 3 is gone.
  CostMeter::Parts parts(milliseconds interest, milliseconds fresh = milliseconds(0)) {
    return {tree_,
            [this](DesktopId id) {
              ++looks_;
              if (id == 3) return std::vector<pid_t>{999};
              return std::vector<pid_t>(static_cast<std::size_t>(id), 42);
            },
            milliseconds(20),
            milliseconds(1),
            interest,
            fresh};
  }
  static void until(const std::function<bool()>& holds) {
    for (int i = 0; i < 5000 && !holds(); ++i) std::this_thread::sleep_for(milliseconds(1));
    EXPECT_TRUE(holds());
  }

  Tree tree_ = std::move(*Tree::open_below(PANAL_SOURCE_DIR "/tests/fixtures/hybrid-6.18"));
  std::atomic<int> looks_{0};
};

TEST_F(CostMeterTest, LooksAtThoseThatAreAskedFor) {
  CostMeter meter(parts(milliseconds(60'000)));
  EXPECT_FALSE(meter.cost(1));
  meter.ask({1, 2, 3});
  until([&] { return meter.cost(1) && meter.cost(2) && meter.cost(3); });
  EXPECT_EQ(meter.cost(1)->sum.processes, 1U);
  EXPECT_GT(meter.cost(1)->sum.maps.pss, 0U);
  EXPECT_EQ(meter.cost(2)->sum.maps.pss, 2 * meter.cost(1)->sum.maps.pss);
  EXPECT_EQ(meter.cost(3)->sum.processes, 0U) << "all of them have ended";
  EXPECT_FALSE(meter.cost(4));
  meter.ask({2});
  EXPECT_FALSE(meter.cost(1)) << "it runs no more";
  EXPECT_TRUE(meter.cost(2)) << "what was known is kept";
}

TEST_F(CostMeterTest, NobodyAsksNothingIsLookedAt) {
  CostMeter meter(parts(milliseconds(30)));
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(looks_, 0);
  meter.ask({1});
  until([&] { return meter.cost(1).has_value(); });
  std::this_thread::sleep_for(milliseconds(60));
  const int after = looks_;
  std::this_thread::sleep_for(milliseconds(60));
  EXPECT_LE(looks_, after + 1) << "the interest is over";
}

TEST_F(CostMeterTest, WhatIsFreshIsNotLookedAtAgain) {
  CostMeter meter(parts(milliseconds(60'000), milliseconds(60'000)));
  meter.ask({1, 2});
  until([&] { return meter.cost(1) && meter.cost(2); });
  std::this_thread::sleep_for(milliseconds(30));
  EXPECT_EQ(looks_, 2);
}

TEST_F(CostMeterTest, EndsInTheMiddleOfALook) {
  CostMeter::Parts slow = parts(milliseconds(60'000));
  slow.rest = milliseconds(60'000);
  CostMeter meter(std::move(slow));
  meter.ask({1, 2});
  until([&] { return looks_ > 0; });
}  // its destructor does not wait a minute

}  // namespace
}  // namespace panal::node
