#include "storage/warm/budget.h"

#include <gtest/gtest.h>

namespace panal::storage {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

struct Case {
  const char* name;
  WarmMemory memory;
  std::uint64_t budget;
};

TEST(WarmBudget, IsAShareOfWhatTheReserveLeaves) {
  const WarmLimits limits;
  for (const Case& one : std::vector<Case>{
           {"a host at rest", {20'000 * kMiB, 2'400 * kMiB, 0}, 1'024 * kMiB},
           {"half full", {5'400 * kMiB, 2'400 * kMiB, 0}, 750 * kMiB},
           {"nearly full", {2'500 * kMiB, 2'400 * kMiB, 0}, 25 * kMiB},
           {"too little to bother", {2'420 * kMiB, 2'400 * kMiB, 0}, 0},
           {"at the reserve", {2'400 * kMiB, 2'400 * kMiB, 0}, 0},
           {"below the reserve", {100 * kMiB, 2'400 * kMiB, 0}, 0},
           {"others wait a little", {20'000 * kMiB, 2'400 * kMiB, 4.9}, 1'024 * kMiB},
           {"others wait", {20'000 * kMiB, 2'400 * kMiB, 5}, 0},
           {"nothing known", {}, 0},
       })
    EXPECT_EQ(warm_budget(one.memory, limits), one.budget) << one.name;
}

TEST(WarmBudget, LimitsHold) {
  WarmLimits limits;
  limits.most_bytes = 100 * kMiB;
  EXPECT_EQ(warm_budget({20'000 * kMiB, 0, 0}, limits), 100 * kMiB);
  limits.share = 7;
  limits.most_bytes = UINT64_MAX;
  EXPECT_EQ(warm_budget({20'000 * kMiB, 0, 0}, limits), 20'000 * kMiB);
  limits.share = -1;
  EXPECT_EQ(warm_budget({20'000 * kMiB, 0, 0}, limits), 0U);
  limits.most_bytes = 0;
  EXPECT_EQ(warm_budget({20'000 * kMiB, 0, 0}, WarmLimits{0, 0.25, 0, 5}), 0U);
}

}  // namespace
}  // namespace panal::storage
