#include "bench/density/reconnect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace panal::bench {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

/// Two measured rounds after the one in which panald learns.
json run() {
  return {{"treatments", {"spared", "recorded"}},
          {"resident", {{{"max_ratio", 0.6}}, {{"max_ratio", 0.19}}, {{"max_ratio", 0.2}}}},
          {"lost", 0},
          {"first_picture_ms",
           {{"spared", {{"tries", 50}, {"p99", 300.0}}},
            {"recorded", {{"tries", 52}, {"p99", 420.0}}}}}};
}

TEST(Reconnect, IsOfDesktopsThatWereTakenFromAndTriedOften) {
  EXPECT_TRUE(tells_enough(run(), 0.2, 50));
  EXPECT_EQ(added_p99_ms(run(), "recorded").value(), 120);
}

TEST(Reconnect, OneThatWasStillLargeSaysNothing) {
  json result = run();
  result["resident"][2]["max_ratio"] = 0.31;
  const auto told = tells_enough(result, 0.2, 50);
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().code, ENODATA);
  EXPECT_THAT(told.error().context, HasSubstr("before round 2 a desktop still had 0.31"));
  result["resident"] = json::array({{{"max_ratio", 0.31}}});
  EXPECT_FALSE(tells_enough(result, 0.2, 50)) << "the only round is a measured one";
}

TEST(Reconnect, FewTriesAreNo99thPercentile) {
  json result = run();
  result["first_picture_ms"]["recorded"]["tries"] = 49;
  result["lost"] = 3;
  const auto told = tells_enough(result, 0.2, 50);
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().code, ENODATA);
  EXPECT_THAT(told.error().context,
              HasSubstr("50 tries of recorded were wanted, 49 came off (sessions that died: 3)"));
  result["first_picture_ms"].erase("recorded");
  EXPECT_FALSE(tells_enough(result, 0.2, 50));
}

}  // namespace
}  // namespace panal::bench
