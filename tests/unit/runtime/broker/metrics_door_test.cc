#include "runtime/broker/metrics_door.h"

#include <gmock/gmock.h>

#include "broker_fixture.h"

namespace panal::broker {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// What a scraper's connection gets, over a socket pair.
class MetricsDoorTest : public BrokerTest {
 protected:
  void scraper() {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    client = UniqueFd(pair[0]);
    received.clear();
    serve_metrics(services, make_fd_stream(loop, UniqueFd(pair[1])), place);
  }
  std::string asked(const std::string& request) {
    scraper();
    send(request);
    EXPECT_TRUE(wait_closed()) << received;
    return received;
  }

  std::shared_ptr<void> place = std::make_shared<int>();
};

TEST_F(MetricsDoorTest, AnswersWithWhatTheNodeSaysAndCloses) {
  const std::string answer = asked("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; "
                                 "charset=utf-8\r\n"));
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n# HELP a A.\n# TYPE a counter\na 1\n")) << answer;
  EXPECT_TRUE(is(asked("GET /metrics?name=x HTTP/1.0\n\n"), 200));
}

TEST_F(MetricsDoorTest, LongAnswersArriveWhole) {
  node.metrics_answer = std::string(200'000, 'x');
  EXPECT_TRUE(asked("GET /metrics HTTP/1.1\r\n\r\n").ends_with(*node.metrics_answer));
}

TEST_F(MetricsDoorTest, NothingElseIsThere) {
  for (const char* path : {"/", "/metrics/", "/qvd/ping", "/qvd/list_of_vm", "/../metrics"})
    EXPECT_TRUE(is(asked(std::string("GET ") + path + " HTTP/1.1\r\n" + kLogin + "\r\n"), 404))
        << path;
  for (const char* method : {"HEAD", "POST", "PUT", "DELETE"}) {
    const std::string answer = asked(std::string(method) + " /metrics HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(is(answer, 405)) << answer;
    EXPECT_THAT(answer, HasSubstr("Allow: GET\r\n"));
  }
  EXPECT_EQ(node.attaches.size(), 0U);
}

TEST_F(MetricsDoorTest, HeadsAreBounded) {
  EXPECT_TRUE(is(asked("GET /metrics HTTP/1.1\r\nA: " + std::string(9000, 'x')), 431));
  std::string many = "GET /metrics HTTP/1.1\r\n";
  for (int i = 0; i < 200; ++i) many += "A: b\r\n";
  EXPECT_TRUE(is(asked(many + "\r\n"), 431));
  EXPECT_TRUE(is(asked("GET /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\n"), 400));
  EXPECT_TRUE(is(asked("rubbish\r\n\r\n"), 400));
}

TEST_F(MetricsDoorTest, WithoutTheNodeItSaysSo) {
  node.metrics_answer = tl::make_unexpected(Refusal{503, "The node's daemon does not answer."});
  const std::string answer = asked("GET /metrics HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(is(answer, 503));
  EXPECT_THAT(answer, HasSubstr("The node's daemon does not answer."));
}

TEST_F(MetricsDoorTest, AClientThatGoesAwayLeavesNothing) {
  const std::weak_ptr<void> held = place;
  scraper();
  place.reset();
  EXPECT_FALSE(held.expired()) << "its place is taken";
  send("GET /metrics HTTP/1.1\r\n\r\n");
  client.reset();
  EXPECT_TRUE(wait([&] { return held.expired(); }));
}

}  // namespace
}  // namespace panal::broker
