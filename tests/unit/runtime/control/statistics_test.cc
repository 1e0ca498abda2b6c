#include "runtime/control/statistics.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace panal::control {
namespace {

using nlohmann::json;

TEST(AskStatistics, PutsThePiecesTogether) {
  std::vector<std::int64_t> asked;
  const auto ask = [&asked](const json& request) -> Result<json> {
    EXPECT_EQ(request["op"], "stats");
    EXPECT_EQ(request["cost"], true);
    const std::int64_t from = request["from"];
    asked.push_back(from);
    json answer = {{"desktops", json::array()}, {"host", {{"look", asked.size()}}}};
    for (std::int64_t id = std::max<std::int64_t>(1, from); id < from + 3 && id <= 7; ++id)
      answer["desktops"].push_back({{"id", id}});
    if (from + 3 <= 7) answer["next"] = from + 3;
    return answer;
  };
  const auto all = ask_statistics(ask, {{"cost", true}});
  ASSERT_TRUE(all) << all.error().message();
  ASSERT_EQ((*all)["desktops"].size(), 7U);
  for (std::size_t i = 0; i < 7; ++i) EXPECT_EQ((*all)["desktops"][i]["id"], i + 1);
  EXPECT_EQ(asked, (std::vector<std::int64_t>{0, 3, 6}));
  EXPECT_EQ((*all)["host"]["look"], 3) << "the newest";
  EXPECT_FALSE(all->contains("next"));
}

TEST(AskStatistics, AnswersThatAreNoneEndIt) {
  const auto always = [](json answer) {
    return [answer](const json&) -> Result<json> { return answer; };
  };
  for (const json& answer : {json(), json::array(), json{{"desktops", 7}},
                             json{{"desktops", json::array()}, {"next", 0}},
                             json{{"desktops", json::array()}, {"next", 5}}})
    EXPECT_EQ(ask_statistics(always(answer), json::object()).error().code, EPROTO) << answer.dump();
  const auto gone = [](const json&) -> Result<json> { return fail(ECONNRESET, "gone"); };
  EXPECT_EQ(ask_statistics(gone, json::object()).error().code, ECONNRESET);
}

}  // namespace
}  // namespace panal::control
