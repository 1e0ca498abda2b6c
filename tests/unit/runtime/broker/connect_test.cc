#include "broker_fixture.h"

namespace panal::broker {
namespace {

class ConnectTest : public BrokerTest {
 protected:
  void ask(const std::string& query = "id=4") {
    send("GET /qvd/connect_to_vm?" + query + " HTTP/1.1\r\nUser-Agent: test\r\n" + kConnect +
         "\r\n");
  }
  /// Up to and past the 101.
  void connected() {
    ask();
    ASSERT_TRUE(wait_text("X-Panal-Cookie: " + std::string(kTestCookie) + "\r\n\r\n")) << received;
    received.clear();
  }
  bool agent_hears(const std::string& text) {
    return wait([&] {
      if (node.agent) drain(node.agent.get(), heard);
      return heard == text;
    });
  }
  std::string heard;
};

const std::string kGreeting = "NXPROXY-3.5.0-3.5.99 stream=default,data=default ";
const std::string kWithCookie =
    "NXPROXY-3.5.0-3.5.99 cookie=" + std::string(kTestCookie) + ",stream=default,data=default ";

TEST_F(ConnectTest, RunningDesktop) {
  ask("id=4&qvd.client.geometry=1280x800&qvd.client.fullscreen=1&qvd.client.keyboard=pc105%2Fes"
      "&qvd.client.link=adsl&qvd.client.os=winnt&qvd.client.printing.enabled=&custom.x=y");
  ASSERT_TRUE(wait_text("HTTP/1.1 101 Switching Protocols\r\nX-QVD-Slave-Key: ")) << received;
  const auto key = received.substr(received.find("Slave-Key: ") + 11, 66);
  EXPECT_EQ(key.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
            64U);
  EXPECT_NE(received.find("X-QVD-VM-Info: nxagent is listening\r\n"), std::string::npos);
  ASSERT_EQ(node.attaches.size(), 1U);
  EXPECT_EQ(node.attaches[0].geometry, "1280x800");
  EXPECT_EQ(node.attaches[0].keyboard, "pc105/es");
  EXPECT_EQ(node.attaches[0].link, "adsl");
  EXPECT_EQ(node.attaches[0].client, "windows");
  EXPECT_TRUE(node.attaches[0].fullscreen);
  EXPECT_EQ(node.opens, 0) << "the agent is not touched before the greeting";
  EXPECT_TRUE(db.copy(db.wishes).empty()) << "it runs already";
}

TEST_F(ConnectTest, TunnelBothWaysAndSessionRows) {
  connected();
  send(kGreeting + "first");
  EXPECT_TRUE(agent_hears(kWithCookie + "first"));
  ASSERT_EQ(::send(node.agent.get(), "hello", 5, 0), 5);
  EXPECT_TRUE(wait_text("hello"));
  // Half-close: the client has said all, the agent has not.
  ::shutdown(client.get(), SHUT_WR);
  std::string rest;
  EXPECT_TRUE(wait([&] { return drain(node.agent.get(), rest); }));
  ASSERT_EQ(::send(node.agent.get(), "late", 4, 0), 4);
  EXPECT_TRUE(wait_text("hellolate"));
  node.agent.reset();
  EXPECT_TRUE(wait_closed());
  EXPECT_TRUE(wait([this] { return db.copy(db.sessions).size() == 2; }));
  EXPECT_EQ(db.copy(db.sessions)[0], "begin 4 192.0.2.1 test");
  EXPECT_EQ(db.copy(db.sessions)[1],
            "end 77 " + std::to_string(kWithCookie.size() + 5) + " 9 client closed");
  EXPECT_EQ(registry.count(), 0U);
}

TEST_F(ConnectTest, GreetingInPieces) {
  connected();
  for (const char c : kWithCookie) {
    send(std::string(1, c));
    loop.run_until([] { return false; }, std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(agent_hears(kWithCookie));
}

TEST_F(ConnectTest, GreetingSentBefore101IsKept) {
  ask();
  send(kGreeting);
  EXPECT_TRUE(agent_hears(kWithCookie));
}

TEST_F(ConnectTest, JunkNeverReachesTheAgent) {
  const std::vector<std::string> table = {
      "GET / HTTP/1.1\r\n\r\n",
      "NXPROXY-3.5.0 cookie=ffffffffffffffffffffffffffffffff,a=b ",
      "NXPROXY-" + std::string(5000, '1'),
      std::string(100, '\0'),
  };
  for (const auto& junk : table) {
    connect();
    connected();
    send(junk);
    EXPECT_TRUE(wait_closed()) << junk;
    EXPECT_EQ(received, "");
  }
  EXPECT_EQ(node.opens, 0);
  EXPECT_TRUE(wait([&] { return db.copy(db.audit).size() == 2 * table.size(); }));
  EXPECT_NE(db.copy(db.audit)[3].find("wrong cookie"), std::string::npos);
}

TEST_F(ConnectTest, AGreetingHasTenSeconds) {
  EXPECT_EQ(Timing{}.greeting, std::chrono::milliseconds(10000));
}

TEST_F(ConnectTest, SilentClientIsClosed) {
  services.timing.greeting = std::chrono::milliseconds(50);
  connected();
  send("NXPROXY-3.5.0 a=b");
  EXPECT_TRUE(wait_closed());
  EXPECT_EQ(node.opens, 0);
}

TEST_F(ConnectTest, RefusedOpenCloses) {
  node.refuse_open = true;
  connected();
  send(kGreeting);
  EXPECT_TRUE(wait_closed());
  EXPECT_EQ(registry.count(), 0U);
}

TEST_F(ConnectTest, AttachRefusalIsTheAnswer) {
  node.attach_answer = tl::make_unexpected(Refusal{503, "The session cannot be resumed."});
  ask();
  EXPECT_TRUE(wait_text("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_TRUE(received.ends_with("The session cannot be resumed.\r\n"));
  received.clear();
  EXPECT_TRUE(is(get("/qvd/ping"), 200)) << "the connection is still good";
}

TEST_F(ConnectTest, StartsAStoppedDesktopAndTellsHow) {
  services.timing.progress = std::chrono::milliseconds(20);
  db.desktops[4].desired = store::Desired::kStopped;
  db.desktops[4].observed = store::Observed::kStopped;
  ask();
  EXPECT_TRUE(wait_text("X-QVD-VM-Info: Starting desktop alice-desk\r\n"));
  db.change(4, store::Observed::kComposing);
  EXPECT_TRUE(wait_text("X-QVD-VM-Info: Desktop alice-desk is composing\r\n"));
  db.change(4, store::Observed::kStarting, "pre-warm");
  const std::string line = "X-QVD-VM-Info: Desktop alice-desk is starting: pre-warm\r\n";
  EXPECT_TRUE(wait_text(line));
  EXPECT_TRUE(wait([&] {
    drain(client.get(), received);
    return received.rfind(line) != received.find(line);
  })) << "repeated while nothing changes";
  db.change(4, store::Observed::kRunning);
  EXPECT_TRUE(wait_text("HTTP/1.1 101 "));
  EXPECT_EQ(db.copy(db.wishes), std::vector<std::string>{"alice@default running 4"});
}

TEST_F(ConnectTest, OldFailureIsRetriedNewOneIsTold) {
  db.desktops[4].observed = store::Observed::kFailed;
  db.desktops[4].reason = "old";
  ask();
  EXPECT_TRUE(wait_text("waits for its turn"));
  EXPECT_EQ(received.find("old"), std::string::npos);
  db.change(4, store::Observed::kFailed, "compose: no space left");
  EXPECT_TRUE(wait_text("did not start: compose: no space left\r\n"));
  EXPECT_NE(received.find("HTTP/1.1 503 "), std::string::npos);
}

TEST_F(ConnectTest, HungUpWhileWaitingEndsIt) {
  db.desktops[4].observed = store::Observed::kStarting;
  ask();
  EXPECT_TRUE(wait_text("is starting"));
  client.reset();
  EXPECT_TRUE(wait([this] { return registry.count() == 0; }));
  EXPECT_TRUE(node.attaches.empty());
}

TEST_F(ConnectTest, TimeIsLimited) {
  services.timing.start = std::chrono::milliseconds(50);
  db.desktops[4].observed = store::Observed::kStarting;
  ask();
  EXPECT_TRUE(wait_text("HTTP/1.1 503 "));
  EXPECT_TRUE(wait_text("still starting"));
}

TEST_F(ConnectTest, SlowReaderIsWaitedForWithABoundedBuffer) {
  connected();
  send(kGreeting);
  EXPECT_TRUE(agent_hears(kWithCookie));
  // The client reads nothing: the agent's writes stop being taken, far below what it wants to send.
  const std::string block(65536, 'x');
  std::size_t sent = 0;
  for (int quiet = 0; quiet < 20;) {
    const ssize_t put = ::send(node.agent.get(), block.data(), block.size(), MSG_NOSIGNAL);
    if (put > 0) sent += static_cast<std::size_t>(put);
    quiet = put > 0 ? 0 : quiet + 1;
    loop.run_until([] { return false; }, std::chrono::milliseconds(1));
    ASSERT_LT(sent, 16U << 20U);
  }
  std::size_t got = 0;
  EXPECT_TRUE(wait([&] {
    received.clear();
    drain(client.get(), received);
    got += received.size();
    return got == sent;
  }));
}

}  // namespace
}  // namespace panal::broker
