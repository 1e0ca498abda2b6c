#include "runtime/node/flow_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "hub_fixture.h"

namespace panal::node {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

TEST(FlowReport, SaysWhatFlowedWhere) {
  const auto report = parse_flow_report(
      json::parse(R"({"op":"flow","over_ms":10000,"sessions":[[7,3,123456],[8,1,0]]})"));
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(*report, (FlowReport{milliseconds(10000), {{7, 3, 123456}, {8, 1, 0}}}));
  const auto nobody = parse_flow_report(json::parse(R"({"over_ms":1,"sessions":[]})"));
  ASSERT_TRUE(nobody);
  EXPECT_TRUE(nobody->sessions.empty());
  const auto largest = parse_flow_report(json::parse(
      R"({"over_ms":3600000,
          "sessions":[[9223372036854775807,18446744073709551615,18446744073709551615]]})"));
  ASSERT_TRUE(largest);
  EXPECT_EQ(largest->sessions[0].bytes, UINT64_MAX);
}

TEST(FlowReport, MalformedOnesAreRefusedWhole) {
  const auto with = [](const std::string& sessions) {
    return R"({"over_ms":10000,"sessions":)" + sessions + "}";
  };
  const std::pair<const char*, std::string> cases[] = {
      {"nothing", "{}"},
      {"no time", R"({"sessions":[]})"},
      {"no sessions", R"({"over_ms":10000})"},
      {"a time of nothing", R"({"over_ms":0,"sessions":[]})"},
      {"a time before", R"({"over_ms":-1,"sessions":[]})"},
      {"more than an hour", R"({"over_ms":3600001,"sessions":[]})"},
      {"a time that overflows", R"({"over_ms":18446744073709551616,"sessions":[]})"},
      {"half a millisecond", R"({"over_ms":0.5,"sessions":[]})"},
      {"a time in words", R"({"over_ms":"10000","sessions":[]})"},
      {"a time of true", R"({"over_ms":true,"sessions":[]})"},
      {"sessions as an object", with(R"({"7":1})")},
      {"sessions as a number", with("7")},
      {"sessions as null", with("null")},
      {"a session as an object", with(R"([{"desktop":7,"attach":1,"bytes":1}])")},
      {"a session as a number", with("[7]")},
      {"two numbers", with("[[7,1]]")},
      {"four numbers", with("[[7,1,1,1]]")},
      {"no desktop", with("[[0,1,1]]")},
      {"a negative desktop", with("[[-7,1,1]]")},
      {"a desktop past all numbers", with("[[9223372036854775808,1,1]]")},
      {"a desktop by name", with(R"([["d7",1,1]])")},
      {"no attach", with("[[7,0,1]]")},
      {"a negative attach", with("[[7,-1,1]]")},
      {"negative bytes", with("[[7,1,-1]]")},
      {"half a byte", with("[[7,1,0.5]]")},
      {"bytes that overflow", with("[[7,1,18446744073709551616]]")},
      {"null bytes", with("[[7,1,null]]")},
      {"a good one before a bad one", with("[[7,1,1],[8,1]]")},
  };
  for (const auto& [what, text] : cases) {
    const auto report = parse_flow_report(json::parse(text));
    ASSERT_FALSE(report) << what;
    EXPECT_EQ(report.error().code, EPROTO) << what;
    EXPECT_TRUE(report.error().context.starts_with("flow: ")) << what;
  }
  json many = {{"over_ms", 10000U}, {"sessions", json::array()}};
  for (std::size_t i = 0; i < FlowReport::kMostSessions; ++i)
    many["sessions"].push_back(json::array({i + 1, 1U, 1U}));
  EXPECT_TRUE(parse_flow_report(many));
  many["sessions"].push_back(json::array({1U, 1U, 1U}));
  EXPECT_FALSE(parse_flow_report(many));
}

class FlowsOfConnected : public HubFixture {
 protected:
  std::vector<SessionFlow> flows(const std::vector<SessionFlow>& told) {
    return on_loop([&] { return flows_of_connected({milliseconds(10000), told}, hub_); });
  }
};

TEST_F(FlowsOfConnected, CountOnlyForTheSessionThatIsThere) {
  const auto agent = ready_agent();
  const std::uint64_t attach = on_loop([this] { return hub_.next_attach(7); });
  ASSERT_GT(attach, 0U);
  EXPECT_TRUE(flows({{7, attach, 1000}}).empty()) << "nobody is connected yet";
  ASSERT_TRUE(agent->send(
      agent::Frame("session").add("state", "connected").add("attach", std::to_string(attach))));
  const auto connected = [this] {
    const auto state = hub_.state(7);
    return state && state->session == agent::SessionState::kConnected;
  };
  for (int i = 0; i < 500 && !on_loop(connected); ++i)
    std::this_thread::sleep_for(milliseconds(10));
  EXPECT_EQ(flows({{7, attach, 1000}}), (std::vector<SessionFlow>{{7, attach, 1000}}));
  EXPECT_TRUE(flows({{7, attach + 1, 1000}, {8, attach, 1000}}).empty());
  (void)on_loop([this] { return hub_.next_attach(7); });
  EXPECT_TRUE(flows({{7, attach, 1000}}).empty()) << "somebody takes over";
}

}  // namespace
}  // namespace panal::node
