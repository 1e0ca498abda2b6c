#include "bench/density/takers_evaluation.h"

#include <gtest/gtest.h>

namespace panal::bench {
namespace {

constexpr double kOneMib = 1 << 20;

TakersCell cell(const std::string& way, TakersOrder order, double cost_mib, double cpu_ms = 10) {
  TakersCell one;
  one.way = way;
  one.order = order;
  one.yield = 80 * kOneMib;
  one.cost_after = cost_mib * kOneMib;
  one.take_cpu_ms = cpu_ms;
  return one;
}

TEST(TakersEvaluation, MediansAreOfEachNumberByItself) {
  std::vector<TakersCell> cells;
  for (const double cpu : {10.0, 40.0, 20.0})
    cells.push_back(cell("madvise", TakersOrder::kAlone, 100 - cpu, cpu));
  cells.push_back(cell("poke", TakersOrder::kAlone, 7, 8));
  cells.push_back(cell("poke", TakersOrder::kAlone, 9, 0));
  const auto medians = takers_medians(cells);
  ASSERT_EQ(medians.size(), 2U);
  EXPECT_EQ(medians[0].rounds, 3U);
  EXPECT_EQ(medians[0].median.way, "madvise");
  EXPECT_EQ(medians[0].median.take_cpu_ms, 20);
  EXPECT_EQ(medians[0].median.cost_after, 80 * kOneMib);
  EXPECT_EQ(medians[0].median_mib_per_cpu_ms, 4);
  EXPECT_EQ(medians[0].least_mib_per_cpu_ms, 2);
  EXPECT_EQ(medians[0].most_mib_per_cpu_ms, 8);
  EXPECT_EQ(medians[1].median.cost_after, 8 * kOneMib) << "of two, between them";
  EXPECT_EQ(medians[1].least_mib_per_cpu_ms, 0) << "one that took no time says nothing";
  EXPECT_TRUE(takers_medians({}).empty());
}

TEST(TakersEvaluation, TheOrderThatLeavesLessToPayForPays) {
  const auto pays = [](double merged_mib, double taken_mib, double merged_cpu, double taken_cpu) {
    return merge_first_pays(
        takers_medians({cell("x", TakersOrder::kMergedFirst, merged_mib, merged_cpu),
                        cell("x", TakersOrder::kTakenFirst, taken_mib, taken_cpu)}),
        "x");
  };
  EXPECT_EQ(pays(50, 60, 90, 10), true);
  EXPECT_EQ(pays(60, 50, 10, 90), false);
  EXPECT_EQ(pays(50.5, 50, 10, 90), true) << "as good as the same, for less CPU";
  EXPECT_EQ(pays(49.5, 50, 90, 10), false);
  EXPECT_EQ(merge_first_pays(takers_medians({cell("x", TakersOrder::kTakenFirst, 1)}), "x"),
            std::nullopt);
  EXPECT_EQ(merge_first_pays({}, "y"), std::nullopt);
}

}  // namespace
}  // namespace panal::bench
