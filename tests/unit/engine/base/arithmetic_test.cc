#include "engine/base/arithmetic.h"

#include <gtest/gtest.h>

namespace panal {
namespace {

TEST(FitLine, FindsAStraightLine) {
  const Line line = fit_line({{1, 5}, {2, 7}, {3, 9}, {10, 23}});
  EXPECT_NEAR(line.slope, 2, 1e-9);
  EXPECT_NEAR(line.intercept, 3, 1e-9);
}

TEST(FitLine, LevelsNoiseOut) {
  EXPECT_NEAR(fit_line({{1, 11}, {2, 19}, {3, 31}, {4, 39}, {5, 51}, {6, 59}}).slope, 9.8, 0.2);
}

TEST(FitLine, HasNoSlopeWithoutTwoPlaces) {
  EXPECT_EQ(fit_line({}).slope, 0);
  EXPECT_EQ(fit_line({{4, 7}}).slope, 0);
  EXPECT_EQ(fit_line({{4, 7}, {4, 9}}).slope, 0);
  EXPECT_EQ(fit_line({{4, 7}, {4, 9}}).intercept, 8);
}

TEST(Percentile, LiesBetweenRanks) {
  struct Case {
    std::vector<double> values;
    double percent;
    double expected;
  };
  for (const auto& c : std::vector<Case>{{{}, 50, 0},
                                         {{3}, 99, 3},
                                         {{3, 1, 2}, 50, 2},
                                         {{4, 1, 2, 3}, 50, 2.5},
                                         {{1, 2, 3, 4, 5}, 0, 1},
                                         {{1, 2, 3, 4, 5}, 100, 5},
                                         {{1, 2, 3, 4, 5}, 90, 4.6},
                                         {{1, 2}, 250, 2},
                                         {{1, 2}, -3, 1}})
    EXPECT_DOUBLE_EQ(percentile(c.values, c.percent), c.expected);
}

}  // namespace
}  // namespace panal
