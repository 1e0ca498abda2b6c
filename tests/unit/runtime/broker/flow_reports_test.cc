#include "runtime/broker/flow_reports.h"

#include "broker_fixture.h"

namespace panal::broker {
namespace {

using std::chrono::milliseconds;

class FlowReportsTest : public ::testing::Test {
 protected:
  static FlowPtr flow(DesktopId desktop) { return std::make_shared<Flow>(Flow{desktop, 3, 0}); }
  bool told(std::size_t messages) {
    return loop.run_until([&] { return node.flows.size() == messages; }, std::chrono::seconds(5));
  }
  void pass(milliseconds time) {
    loop.run_until([] { return false; }, time);
  }

  loop::Loop loop;
  FakeNode node{loop};
  milliseconds every{50};
  FlowReports reports{loop, node, every};
};

TEST_F(FlowReportsTest, OneMessageForAllAndNoneForLittle) {
  const FlowPtr film = flow(7);
  const FlowPtr clock = flow(8);
  const FlowPtr other = flow(9);
  reports.add(film, 100'000);
  reports.add(film, 50'000);
  reports.add(clock, 10);
  reports.add(other, 0);
  ASSERT_TRUE(told(1));
  ASSERT_EQ(node.flows[0].size(), 1U);
  EXPECT_EQ(node.flows[0][0].desktop, 7);
  EXPECT_EQ(node.flows[0][0].attach, 3U);
  EXPECT_EQ(node.flows[0][0].bytes, 150'000U);
  EXPECT_GE(node.flowed_over, every);
  pass(3 * every);
  EXPECT_EQ(node.flows.size(), 1U) << "nothing flows, nothing is said";
  reports.add(clock, 10);
  pass(3 * every);
  EXPECT_EQ(node.flows.size(), 1U) << "nothing of note";
  reports.add(film, 100'000);
  reports.add(other, 200'000);
  ASSERT_TRUE(told(2));
  ASSERT_EQ(node.flows[1].size(), 2U);
  EXPECT_EQ(node.flows[1][0].bytes, 100'000U) << "since the last report";
}

TEST_F(FlowReportsTest, NotMoreThanOneInItsTime) {
  const FlowPtr film = flow(7);
  const auto begun = std::chrono::steady_clock::now();
  while (node.flows.size() < 4) {
    reports.add(film, 100'000);
    pass(milliseconds(5));
    ASSERT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(20));
  }
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 4 * every);
}

TEST_F(FlowReportsTest, ANodeThatDoesNotAnswerIsNotAskedAgainUntilItFails) {
  node.answers_flows = false;
  const FlowPtr film = flow(7);
  reports.add(film, 100'000);
  ASSERT_TRUE(told(1));
  reports.add(film, 200'000);
  pass(3 * every);
  EXPECT_EQ(node.flows.size(), 1U);
  node.flow_done(tl::make_unexpected(Refusal{503, "The node's daemon did not answer in time."}));
  reports.add(film, 300'000);
  ASSERT_TRUE(told(2));
  EXPECT_EQ(node.flows[1][0].bytes, 300'000U) << "what was lost is not made up for";
}

TEST_F(FlowReportsTest, AMessageHasItsBounds) {
  std::vector<FlowPtr> all;
  for (std::size_t i = 0; i < FlowReports::kMostSessions + 5; ++i) {
    all.push_back(flow(static_cast<DesktopId>(i + 1)));
    reports.add(all.back(), 100'000);
  }
  ASSERT_TRUE(told(1));
  EXPECT_EQ(node.flows[0].size(), FlowReports::kMostSessions);
}

TEST_F(BrokerTest, TheTunnelTellsWhatGoesToTheClientAndNothingElse) {
  services.timing.flow = milliseconds(50);
  send("GET /qvd/connect_to_vm?id=4 HTTP/1.1\r\n" + std::string(kConnect) + "\r\n");
  ASSERT_TRUE(wait_text("X-Panal-Cookie: " + std::string(kTestCookie) + "\r\n\r\n")) << received;
  send("NXPROXY-3.5.0-3.5.99 stream=default,data=default " + std::string(20'000, 'u'));
  ASSERT_TRUE(wait([&] { return node.agent.valid(); }));
  const std::string down(30'000, 'd');
  ASSERT_EQ(::send(node.agent.get(), down.data(), down.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(down.size()));
  std::uint64_t bytes = 0;
  EXPECT_TRUE(wait([&] {
    drain(client.get(), received);
    bytes = 0;
    for (const auto& message : node.flows)
      for (const Flow& one : message) {
        EXPECT_EQ(one.desktop, 4);
        EXPECT_EQ(one.attach, 9U);
        bytes += one.bytes;
      }
    return bytes >= down.size();
  }));
  EXPECT_EQ(bytes, down.size());
}

}  // namespace
}  // namespace panal::broker
