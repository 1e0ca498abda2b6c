#include "bench/backends/backends.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bench/backends/file_probe.h"
#include "bench/backends/spread.h"

namespace panal::bench {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

TEST(Spread, IsOfNearestRanks) {
  EXPECT_EQ(spread_of({}).count, 0U);
  const Spread one = spread_of({7});
  EXPECT_EQ(one.p50, 7);
  EXPECT_EQ(one.p99, 7);
  std::vector<double> hundred;
  for (int i = 100; i >= 1; --i) hundred.push_back(i);
  const Spread many = spread_of(hundred);
  EXPECT_EQ(many.count, 100U);
  EXPECT_EQ(many.p50, 50);
  EXPECT_EQ(many.p99, 99);
  EXPECT_EQ(many.least, 1);
  EXPECT_EQ(many.most, 100);
}

TEST(PageCache, IsCachedOfMeminfo) {
  const auto cached = parse_cached("MemTotal:  5 kB\nCached:           12 kB\nSwapCached: 3 kB\n");
  ASSERT_TRUE(cached) << cached.error().message();
  EXPECT_EQ(*cached, 12U * 1024);
  for (const char* text : {"", "MemTotal: 5 kB\n", "\nCached:", "\nCached: x kB\n", "\nCached: 5\n",
                           "\nCached: 5 MB\n", "\nSwapCached: 5 kB\n"})
    EXPECT_FALSE(parse_cached(text)) << text;
}

TEST(BackendsTable, HasARowForWhatWasMeasuredAndWhatWasNot) {
  const json spread = to_json(spread_of({1.5, 2.5}));
  const json both = {{"provision_ms", spread}, {"destroy_ms", spread}};
  json result = {{"version", {{"name", "made"}, {"bytes", 1 << 20}, {"files", 12}}},
                 {"arms",
                  {{"overlay",
                    {{"count", 400},
                     {"one", both},
                     {"many", both},
                     {"disk_kib", 4},
                     {"mounts", 1},
                     {"first_read_ms", 10.5},
                     {"second_read_ms", 1.25},
                     {"second_extra_mib", -0.01},
                     {"stat_first_us", spread},
                     {"stat_again_us", spread},
                     {"open_first_us", spread},
                     {"open_again_us", spread}}},
                   {"lvm", {{"skipped", "no device-mapper"}}},
                   {"btrfs", {{"failed", "it broke"}}}}}};
  const std::string table = backends_table(result);
  EXPECT_THAT(table, HasSubstr("| overlay | 400 | 1.50 / 2.50 |"));
  EXPECT_THAT(table, HasSubstr("| lvm | not here: no device-mapper |"));
  EXPECT_THAT(table, HasSubstr("| btrfs | failed: it broke |"));
  EXPECT_THAT(table, testing::Not(HasSubstr("| bind |")));
  result["arms"]["overlay"]["live"] = {
      {"desktops", 20}, {"pss_mib", 1800.0}, {"daemons_pss_mib", 11.0}};
  EXPECT_THAT(backends_table(result), HasSubstr("| 1811 (20 desktops) |"));
}

}  // namespace
}  // namespace panal::bench
