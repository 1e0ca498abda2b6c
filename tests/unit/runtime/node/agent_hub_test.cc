#include "runtime/node/agent_hub.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "tests/unit/runtime/node/hub_fixture.h"

namespace panal::node {
namespace {

using agent::Frame;
using agent::SessionState;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

class AgentHubTest : public HubFixture {
 protected:
  using HubFixture::HubFixture;
  /// Asks for a session; the answer is what the future gives.
  std::future<Result<void>> order(std::uint64_t attach, milliseconds limit) {
    auto promise = std::make_shared<std::promise<Result<void>>>();
    auto future = promise->get_future();
    loop_.post([this, attach, limit, promise] {
      ListenOrder listen;
      listen.attach = attach;
      listen.cookie = std::string(32, 'a');
      listen.geometry = "800x600";
      hub_.order_listen(7, listen, limit,
                        [promise](const Result<void>& result) { promise->set_value(result); });
    });
    return future;
  }
};

TEST_F(AgentHubTest, GivesItsSocketToTheDesktopsRootAlone) {
  ASSERT_TRUE(hub_.listen(spec_, directory_));
  struct stat info{};
  ASSERT_EQ(::lstat((directory_ + "/agent.sock").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0600U);
  EXPECT_EQ(info.st_uid, spec_.ids.first);
  // Again, as after a restart: the old socket's file is replaced.
  EXPECT_TRUE(hub_.listen(spec_, directory_));
}

TEST_F(AgentHubTest, RefusesAStrangersConnection) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to chown the socket";
  spec_.ids.first = 1234567;
  ASSERT_TRUE(hub_.listen(spec_, directory_));
  const FakeAgent stranger(directory_);
  EXPECT_TRUE(stranger.ended());
}

TEST_F(AgentHubTest, WelcomesAnAgentThatSaysHello) {
  ASSERT_TRUE(hub_.listen(spec_, directory_));
  const FakeAgent agent(directory_);
  ASSERT_TRUE(agent.hello());
  auto ready =
      std::async(std::launch::async, [this] { return hub_.wait_ready(7, self(), seconds(10)); });
  const auto welcome = agent.receive();
  ASSERT_TRUE(welcome);
  EXPECT_EQ(welcome->get("login"), "alice");
  EXPECT_EQ(welcome->get("hostname"), "desk");
  EXPECT_EQ(welcome->all("arg").size(), 1U);
  agent.send(Frame("failed").add("step", "user").add("reason", "no\nhome"));
  const auto outcome = ready.get();
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().context, HasSubstr("user: no\\x0ahome"));
}

TEST_F(AgentHubTest, TimesOutAndNoticesAnEndedInit) {
  ASSERT_TRUE(hub_.listen(spec_, directory_));
  EXPECT_EQ(hub_.wait_ready(7, self(), milliseconds(1)).error().code, ETIMEDOUT);
  EXPECT_EQ(hub_.wait_ready(8, self(), milliseconds(1)).error().code, ENOENT);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  const auto init = Pidfd::open(child);
  ASSERT_TRUE(init);
  EXPECT_EQ(hub_.wait_ready(7, *init, seconds(10)).error().code, ECHILD);
}

TEST_F(AgentHubTest, RefusesASecondConnectionWhileTheFirstLives) {
  auto first = ready_agent();
  const FakeAgent second(directory_);
  EXPECT_TRUE(second.ended());
  EXPECT_TRUE(on_loop([this] { return hub_.state(7)->connected; }));
  first.reset();
  const FakeAgent third(directory_);
  ASSERT_TRUE(third.hello("suspended", "41"));
  EXPECT_EQ(third.receive()->verb, "welcome") << "it was admitted before";
  EXPECT_EQ(on_loop([this] { return hub_.state(7)->session; }), SessionState::kSuspended);
  EXPECT_EQ(on_loop([this] { return hub_.next_attach(7); }), 42U);
}

TEST_F(AgentHubTest, NoAttachNumberOfAnAgentMakesOursLeaveTheControlProtocol) {
  for (const char* number : {"9223372036854775807", "18446744073709551615"}) {
    ASSERT_TRUE(hub_.listen(spec_, directory_));
    const FakeAgent agent(directory_);
    ASSERT_TRUE(agent.hello("suspended", number));
    while (!on_loop([this] { return hub_.state(7)->connected; })) std::this_thread::yield();
    // Brokers send it back as a signed number.
    EXPECT_LE(on_loop([this] { return hub_.next_attach(7); }), std::uint64_t{INT64_MAX});
  }
}

TEST_F(AgentHubTest, KnowsWhetherSomebodyLooksAndShowsThemSentences) {
  EXPECT_TRUE(on_loop([this] { return hub_.in_use(7); })) << "nobody can say";
  EXPECT_FALSE(on_loop([this] { return hub_.notice(7, "x").has_value(); }));
  auto agent = ready_agent();
  EXPECT_FALSE(on_loop([this] { return hub_.in_use(7); }));
  const auto say = [&](const char* word, SessionState state) {
    ASSERT_TRUE(agent->send(Frame("session").add("state", word).add("attach", "1")));
    while (on_loop([this] { return hub_.state(7)->session; }) != state) std::this_thread::yield();
  };
  for (const auto& [word, state] : {std::pair{"listening", SessionState::kListening},
                                    std::pair{"connected", SessionState::kConnected},
                                    std::pair{"suspending", SessionState::kSuspending}}) {
    say(word, state);
    EXPECT_TRUE(on_loop([this] { return hub_.in_use(7); })) << word;
  }
  say("suspended", SessionState::kSuspended);
  EXPECT_FALSE(on_loop([this] { return hub_.in_use(7); }));
  ASSERT_TRUE(on_loop([this] { return hub_.notice(7, "Save your work = now.").has_value(); }));
  const auto frame = agent->receive();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->verb, "notice");
  EXPECT_EQ(frame->get("text"), "Save your work = now.");
  agent.reset();
  while (on_loop([this] { return hub_.state(7)->connected; })) std::this_thread::yield();
  EXPECT_TRUE(on_loop([this] { return hub_.in_use(7); })) << "its agent may only be restarting";
}

TEST_F(AgentHubTest, ClosesOnMalformedFrames) {
  for (const std::string& bytes :
       {std::string("Hello"), std::string("hello =x"), std::string("\0\0", 2), std::string("\xff"),
        std::string("hello protocol=%zz"), std::string(agent::kFrameBytes + 1, 'a')}) {
    ASSERT_TRUE(hub_.listen(spec_, directory_));
    const FakeAgent agent(directory_);
    ASSERT_TRUE(agent.hello());
    ASSERT_TRUE(agent.send_bytes(bytes));
    EXPECT_TRUE(agent.ended()) << bytes.substr(0, 20);
  }
}

TEST_F(AgentHubTest, ClosesOnAFlood) {
  const auto agent = ready_agent();
  for (int i = 0; i < 5 * AgentLink::kFramesPerSecond; ++i)
    if (!agent->send(Frame("idle").add("ms", "0"))) break;
  EXPECT_TRUE(agent->ended());
}

TEST_F(AgentHubTest, EndsTheLinkOfAnAgentThatDoesNotRead) {
  const auto agent = ready_agent();
  bool refused = false;
  for (int i = 0; i < 100000 && !refused; ++i)
    refused = on_loop([this] { return !hub_.suspend(7); });
  EXPECT_TRUE(refused) << "what it does not read is kept for ever";
  EXPECT_TRUE(agent->ended());
  EXPECT_FALSE(on_loop([this] { return hub_.state(7)->connected; }));
}

TEST_F(AgentHubTest, AnAgentThatComesBackForEverDoesNotStopOthers) {
  ASSERT_TRUE(hub_.listen(spec_, directory_));
  for (int i = 0; i < 200; ++i) {
    const FakeAgent agent(directory_);
    // False when it was refused already: the hub may not have seen the last one's end.
    (void)agent.send_bytes(std::string(100, '\n'));
    EXPECT_EQ(on_loop([] { return 7; }), 7) << "the loop's other work goes on";
  }
  EXPECT_FALSE(on_loop([this] { return hub_.state(7)->connected; }));
}

TEST_F(AgentHubTest, OrdersListenAndPassesTheAnswerOn) {
  const auto agent = ready_agent();
  auto first = order(1, seconds(10));
  auto frame = agent->receive();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->verb, "listen");
  EXPECT_EQ(frame->get("geometry"), "800x600");
  agent->send(Frame("listening").add("attach", "99"));  // not ours
  agent->send(Frame("listening").add("attach", "1"));
  EXPECT_TRUE(first.get());

  auto second = order(2, seconds(10));
  ASSERT_TRUE(agent->receive());
  auto third = order(3, seconds(10));
  EXPECT_EQ(second.get().error().code, ECANCELED) << "a later order takes over";
  ASSERT_TRUE(agent->receive());
  agent->send(Frame("refused").add("attach", "3").add("reason", "no nxagent"));
  const auto refused = third.get();
  EXPECT_EQ(refused.error().code, EBUSY);
  EXPECT_THAT(refused.error().context, HasSubstr("no nxagent"));

  EXPECT_EQ(order(4, milliseconds(1)).get().error().code, ETIMEDOUT);
  auto lost = order(5, seconds(10));
  hub_.close(7);
  EXPECT_EQ(lost.get().error().code, ENOTCONN);
  EXPECT_EQ(order(6, seconds(10)).get().error().code, ENOTCONN);
}

/// A hub that waits a moment where the real one waits ten.
class ImpatientAgentHubTest : public AgentHubTest {
 protected:
  static constexpr milliseconds kLimit{300};
  ImpatientAgentHubTest() : AgentHubTest(kLimit) {}

  /// It holds the desktop's one place, is sent away, and the agent gets in.
  void makes_room(const std::function<void(const FakeAgent&)>& behave) {
    ASSERT_TRUE(hub_.listen(spec_, directory_));
    hub_.admit(7);
    const auto begun = std::chrono::steady_clock::now();
    const FakeAgent slow(directory_);
    ASSERT_TRUE(slow.connected());
    behave(slow);
    EXPECT_TRUE(slow.ended());
    const auto took = std::chrono::steady_clock::now() - begun;
    EXPECT_GE(took, kLimit / 2);
    EXPECT_LT(took, seconds(9));
    EXPECT_FALSE(on_loop([this] { return hub_.state(7)->connected; }));
    const FakeAgent agent(directory_);
    ASSERT_TRUE(agent.hello());
    const auto welcome = agent.receive();
    ASSERT_TRUE(welcome);
    EXPECT_EQ(welcome->verb, "welcome");
  }
};

TEST(AgentHub, GivesAgentsTenSeconds) { EXPECT_EQ(AgentHub::kPatience, seconds(10)); }

TEST_F(ImpatientAgentHubTest, ASilentConnectionMakesRoomForTheAgent) {
  makes_room([this](const FakeAgent& silent) {
    (void)silent;
    EXPECT_EQ(order(1, seconds(10)).get().error().code, ENOTCONN);
    EXPECT_FALSE(on_loop([this] { return hub_.state(7)->connected; }));
  });
}

TEST_F(ImpatientAgentHubTest, SoDoesOneWhoseFrameWasBegunAndIsNeverFinished) {
  // Every send is a frame of its own there, so what was begun is a frame that is not hello.
  makes_room([](const FakeAgent& slow) { EXPECT_TRUE(slow.send_bytes("hel")); });
}

TEST_F(ImpatientAgentHubTest, SoDoesOneThatSendsAByteNowAndThen) {
  makes_room([](const FakeAgent& slow) {
    const auto end = std::chrono::steady_clock::now() + seconds(8);
    while (slow.send_bytes("h") && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(milliseconds(20));
  });
}

TEST_F(ImpatientAgentHubTest, SoDoesOneThatSaysHelloAndThenNothingThatWasAsked) {
  makes_room([](const FakeAgent& slow) {
    EXPECT_TRUE(slow.hello());
    const auto end = std::chrono::steady_clock::now() + seconds(8);
    while (slow.send_bytes("x") && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(milliseconds(20));
  });
}

TEST_F(ImpatientAgentHubTest, AFirstWelcomeMayTakeAsLongAsTheStart) {
  ASSERT_TRUE(hub_.listen(spec_, directory_));
  const FakeAgent agent(directory_);
  ASSERT_TRUE(agent.hello());
  auto ready =
      std::async(std::launch::async, [this] { return hub_.wait_ready(7, self(), seconds(10)); });
  ASSERT_TRUE(agent.receive());
  std::this_thread::sleep_for(3 * kLimit);
  EXPECT_TRUE(agent.send(Frame("status").add("session", "none")));
  EXPECT_TRUE(ready.get());
  std::this_thread::sleep_for(2 * kLimit);
  EXPECT_TRUE(on_loop([this] { return hub_.state(7)->connected; })) << "and then be silent";
}

TEST_F(AgentHubTest, TellsOfSessionsAndCutsWhatTheAgentSays) {
  std::promise<AgentState> told;
  on_loop([&] {
    hub_.set_events({[&](DesktopId, const AgentState& state) {
                       if (state.session == SessionState::kConnected) told.set_value(state);
                     },
                     {}});
    return true;
  });
  const auto agent = ready_agent();
  agent->send(Frame("session").add("state", "nonsense").add("reason", "x"));
  agent->send(Frame("session")
                  .add("state", "connected")
                  .add("attach", "1")
                  .add("reason", std::string(2000, 'r') + "\x1b[2J"));
  const AgentState state = told.get_future().get();
  EXPECT_LE(state.reason.size(), 310U);
  EXPECT_TRUE(hub_.poweroff(7, milliseconds(5)));
  EXPECT_EQ(agent->receive()->verb, "poweroff");
  on_loop([&] {
    hub_.set_events({});
    return true;
  });
}

}  // namespace
}  // namespace panal::node
