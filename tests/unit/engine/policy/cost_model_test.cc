#include "engine/policy/cost_model.h"

#include <gtest/gtest.h>

#include "engine/policy/admission.h"

namespace panal::policy {
namespace {

TEST(CostModel, IsNotTurnedByOutliers) {
  std::vector<std::pair<double, double>> samples;
  for (int n = 1; n <= 20; ++n) samples.emplace_back(n, 500 + 36.0 * n + (n % 3 - 1));
  samples[4].second = 9000;
  samples[15].second = 0;
  const MarginalCost cost = fit_marginal_cost(samples);
  EXPECT_NEAR(cost.each, 36, 0.5);
  EXPECT_EQ(cost.left_out, 2U);
  EXPECT_TRUE(cost.measured);
  EXPECT_FALSE(fit_marginal_cost({}).measured);
}

TEST(CostModel, ANodeAtRestDoesNotMakeOutliersOfOtherNumbers) {
  // Nothing moves while four run; three of them took 1.5 MiB more than three quarters of it.
  const MarginalCost cost = fit_marginal_cost({{0, 0}, {3, 127.5}, {4, 168}, {4, 168}, {4, 168}});
  EXPECT_EQ(cost.left_out, 0U);
  EXPECT_TRUE(cost.measured);
  EXPECT_NEAR(cost.each, 42, 0.5);
  EXPECT_EQ(fit_marginal_cost({{0, 0}, {3, 135}, {4, 168}, {4, 168}, {4, 168}}).left_out, 1U);
}

TEST(Admission, SaysWhatRunsOutFirstAndWhy) {
  MarginalCost memory;
  memory.each = 36;
  memory.measured = true;
  MarginalCost ptys;
  ptys.each = 4;
  std::vector<Resource> resources{
      {"memory", "MiB", ResourceKind::kMemory, 21000, 24000, 2000, memory},
      {"ptys", "", ResourceKind::kKernelObjects, 100, 4096, 0, ptys}};
  EXPECT_EQ(capacity(resources).more, 27U);
  EXPECT_EQ(room("xfce", resources), "27 more desktops of image xfce fit; memory runs out first");
  EXPECT_TRUE(refusal("xfce", resources).empty());
  resources[0].used = 21980;
  EXPECT_EQ(refusal("xfce", resources),
            "no room for another desktop of image xfce: it takes 36.0 MiB of memory (measured), "
            "20.0 MiB of 24000 MiB are left beside the reserve of 2000 MiB");
}

}  // namespace
}  // namespace panal::policy
