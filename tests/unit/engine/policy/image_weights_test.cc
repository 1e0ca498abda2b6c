#include "engine/policy/image_weights.h"

#include <gtest/gtest.h>

#include <string>

#include "engine/policy/cost_model.h"

namespace panal::policy {
namespace {

TEST(ImageWeights, OneImageAloneWeighsOne) {
  ImageWeights weights;
  EXPECT_EQ(weights.of("xfce"), 1);
  weights.saw("xfce", 40);
  EXPECT_EQ(weights.of("xfce"), 1);
  EXPECT_EQ(weights.of("unknown"), 1);
  EXPECT_EQ(weights.sum({{"xfce", 3}, {"unknown", 2}}), 5);
}

TEST(ImageWeights, TheMeanOfTheImagesIsOne) {
  ImageWeights weights;
  weights.saw("xfce", 30);
  weights.saw("icewm", 10);
  EXPECT_DOUBLE_EQ(weights.of("xfce"), 1.5);
  EXPECT_DOUBLE_EQ(weights.of("icewm"), 0.5);
  EXPECT_EQ(weights.of("unknown"), 1);
  EXPECT_DOUBLE_EQ(weights.mean({{"xfce", 1}, {"icewm", 3}}), 0.75);
  EXPECT_EQ(weights.mean({}), 1);
}

TEST(ImageWeights, NothingIsLearntOfNothing) {
  ImageWeights weights;
  weights.saw("xfce", 30);
  for (const double nothing : {0.0, -1.0, 0.0 / 0.0, 1.0 / 0.0}) weights.saw("icewm", nothing);
  EXPECT_EQ(weights.of("xfce"), 1);
}

TEST(ImageWeights, OfTooManyTheOneSeenLongestAgoIsForgotten) {
  ImageWeights weights;
  weights.saw("old", 100);
  for (std::size_t i = 1; i < ImageWeights::kMost; ++i) weights.saw("i" + std::to_string(i), 10);
  weights.saw("old", 100);
  EXPECT_GT(weights.of("old"), 1);
  weights.saw("new", 10);
  EXPECT_GT(weights.of("old"), 1) << "it was seen since";
  EXPECT_EQ(weights.of("i1"), 1);
}

/// Twenty of 5 each, then ten of 40 each: no line fits that by number, one does by weight.
TEST(CostSamples, ImagesAreToldApartByWeight) {
  CostSamples samples;
  for (int icewm = 0; icewm <= 20; icewm += 4) samples.add({{"icewm", icewm}}, 500 + 5.0 * icewm);
  for (int xfce = 2; xfce <= 10; xfce += 2)
    samples.add({{"icewm", 20}, {"xfce", xfce}}, 600 + 40.0 * xfce);
  ImageWeights weights;
  weights.saw("icewm", 3);
  weights.saw("xfce", 24);
  const MarginalCost cost = samples.fit(weights);
  EXPECT_TRUE(cost.measured);
  EXPECT_NEAR(cost.each * weights.of("icewm"), 5, 0.01);
  EXPECT_NEAR(cost.each * weights.of("xfce"), 40, 0.01);
}

TEST(CostSamples, OfOneMixOnlyAFewAreKept) {
  CostSamples samples;
  for (std::size_t i = 0; i < 2 * CostSamples::kMostOfOne; ++i) {
    samples.add({{"icewm", 1}, {"xfce", 2}}, 100);
    samples.add({{"icewm", 2}, {"xfce", 1}}, 70);
  }
  EXPECT_EQ(samples.size(), 2 * CostSamples::kMostOfOne);
}

TEST(CostModel, KnowsHowSureItIs) {
  std::vector<std::pair<double, double>> exact, noise;
  for (int n = 1; n <= 20; ++n) {
    exact.emplace_back(n, 10.0 * n);
    noise.emplace_back(n, 100 + (n % 2 == 0 ? 5 : -5));
  }
  EXPECT_NEAR(fit_marginal_cost(exact).error, 0, 1e-9);
  const MarginalCost none = fit_marginal_cost(noise);
  EXPECT_LT(none.each, 2 * none.error);
}

}  // namespace
}  // namespace panal::policy
