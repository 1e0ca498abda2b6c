#include "runtime/node/merge_demand.h"

#include <gtest/gtest.h>

namespace panal::node {
namespace {

using store::Desired;
using store::Observed;

store::Desktop row(const char* tenant, const char* trust, Desired desired, Observed observed,
                   bool agreed) {
  store::Desktop desktop;
  desktop.tenant = tenant;
  desktop.trust = trust;
  desktop.desired = desired;
  desktop.observed = observed;
  desktop.share_memory = agreed;
  return desktop;
}

TEST(MergeDemand, CountsWhatIsWantedAndHasNotFailedByDomain) {
  const std::vector<store::Desktop> rows{
      row("a", "office", Desired::kRunning, Observed::kRunning, true),
      row("a", "office", Desired::kRunning, Observed::kStopped, true),
      row("a", "office", Desired::kRunning, Observed::kFailed, true),
      row("a", "office", Desired::kStopped, Observed::kStopped, true),
      row("a", "guests", Desired::kRunning, Observed::kStarting, true),
      row("b", "office", Desired::kStopped, Observed::kStopping, false),
  };
  std::vector<const store::Desktop*> all;
  for (const store::Desktop& one : rows) all.push_back(&one);
  const auto demand = merge_demand(all);
  ASSERT_EQ(demand.size(), 3U);
  EXPECT_EQ(demand[0].id, (MergeDomainId{"a", "guests"}));
  EXPECT_EQ(demand[0].desktops, 1U);
  EXPECT_TRUE(demand[0].agreed);
  EXPECT_EQ(demand[1].id, (MergeDomainId{"a", "office"}));
  EXPECT_EQ(demand[1].desktops, 2U);
  EXPECT_EQ(demand[2].id, (MergeDomainId{"b", "office"}));
  EXPECT_EQ(demand[2].desktops, 0U);
  EXPECT_FALSE(demand[2].agreed);
  EXPECT_TRUE(merge_demand({}).empty());
}

}  // namespace
}  // namespace panal::node
