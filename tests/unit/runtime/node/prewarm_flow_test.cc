#include "runtime/node/prewarm_flow.h"

#include <gmock/gmock.h>
#include <sys/eventfd.h>

#include <atomic>

#include "tests/unit/runtime/node/hub_fixture.h"

namespace panal::node {
namespace {

using agent::Frame;

class PrewarmFlowTest : public HubFixture {
 protected:
  /// A pre-warmer whose end is an eventfd.
  class FakeRun final : public PrewarmRun {
   public:
    explicit FakeRun(PrewarmFlowTest& test) : test_(test) { ++test_.running_; }
    ~FakeRun() override { --test_.running_; }
    [[nodiscard]] int pidfd() const override { return test_.event_.get(); }
    [[nodiscard]] std::string why_ended() override { return "Xvfb is missing"; }

   private:
    PrewarmFlowTest& test_;
  };

  void SetUp() override {
    on_loop([this] {
      hub_.set_events(
          {[this](DesktopId id, const AgentState& state) { flow_.on_session(id, state); },
           [this](DesktopId id) { flow_.on_settled(id); }});
      return true;
    });
    agent_ = ready_agent();
  }
  void TearDown() override {
    on_loop([this] {
      flow_.cancel(7);
      hub_.set_events({});
      return true;
    });
  }
  void begin() {
    on_loop([this] {
      flow_.begin(7);
      return true;
    });
  }
  bool active() {
    return on_loop([this] { return flow_.active(7); });
  }
  /// The agent's words, seen by the loop when it returns: the link is in order.
  void say(const Frame& frame) { ASSERT_TRUE(agent_->send(frame)); }
  void say_session(const std::string& state) {
    say(Frame("session").add("state", state).add("reason", ""));
  }
  void until(const std::function<bool()>& holds) {
    for (int i = 0; i < 2000 && !holds(); ++i) ::usleep(5000);
    EXPECT_TRUE(holds());
  }
  void let_in() {
    const auto frame = agent_->receive();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->verb, "listen");
    EXPECT_EQ(frame->get("warm"), "1");
    say(Frame("listening").add("attach", std::string(frame->get("attach"))));
  }

  std::atomic<int> running_{0};
  std::atomic<bool> fail_launch_{false};
  UniqueFd event_{::eventfd(0, EFD_CLOEXEC)};
  std::unique_ptr<FakeAgent> agent_;
  PrewarmFlow flow_{
      PrewarmFlow::Parts{
          loop_, hub_, [](DesktopId) -> Result<UniqueFd> { return UniqueFd(::dup(0)); },
          [this](DesktopId, UniqueFd, const std::string&) -> Result<std::unique_ptr<PrewarmRun>> {
            if (fail_launch_) return fail(ENOENT, "run panal-prewarm");
            return std::make_unique<FakeRun>(*this);
          },
          Logger::silent()},
      2};
};

TEST_F(PrewarmFlowTest, GoesThroughAllStagesAndEndsThePrewarmer) {
  begin();
  let_in();
  until([this] { return running_ == 1; });
  say_session("connected");
  say(Frame("settled").add("windows", "2"));
  const auto frame = agent_->receive();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->verb, "suspend");
  EXPECT_EQ(running_, 1) << "it lives until the session is suspended";
  say_session("suspending");
  say_session("suspended");
  until([this] { return !active(); });
  EXPECT_EQ(running_, 0);
  // Warm already: not again.
  begin();
  EXPECT_FALSE(active());
}

TEST_F(PrewarmFlowTest, GivesWayToAUser) {
  begin();
  let_in();
  until([this] { return running_ == 1; });
  on_loop([this] {
    flow_.cancel(7);
    return true;
  });
  EXPECT_EQ(running_, 0);
  EXPECT_FALSE(active());
  // What still comes of it hurts nobody.
  say_session("connected");
  say(Frame("settled").add("windows", "1"));
  say_session("suspended");
  EXPECT_FALSE(active());
}

TEST_F(PrewarmFlowTest, GivesWayWithItsLinkUntilTheAgentHasEndedIt) {
  begin();
  let_in();
  until([this] { return running_ == 1; });
  say_session("connected");
  on_loop([this] {
    flow_.give_way(7);
    return true;
  });
  EXPECT_EQ(running_, 1);
  // It does not begin anything any more, and its end is no failure.
  say(Frame("settled").add("windows", "1"));
  say_session("suspending");
  EXPECT_EQ(running_, 1);
  say_session("suspended");
  until([this] { return !active(); });
  EXPECT_EQ(running_, 0);
}

TEST_F(PrewarmFlowTest, WaitsForTheAgentOfADesktopThatWasTakenOver) {
  agent_.reset();
  until([this] { return on_loop([this] { return !hub_.state(7)->connected; }); });
  begin();
  EXPECT_FALSE(active());
  agent_ = std::make_unique<FakeAgent>(directory_);
  ASSERT_TRUE(agent_->hello());
  EXPECT_EQ(agent_->receive()->verb, "welcome");
  EXPECT_EQ(agent_->receive()->verb, "query");
  let_in();
  until([this] { return running_ == 1; });
}

TEST_F(PrewarmFlowTest, AUserWhoComesBeforeTheAgentEndsTheWish) {
  agent_.reset();
  until([this] { return on_loop([this] { return !hub_.state(7)->connected; }); });
  begin();
  on_loop([this] {
    flow_.give_way(7);
    return true;
  });
  agent_ = std::make_unique<FakeAgent>(directory_);
  ASSERT_TRUE(agent_->hello());
  EXPECT_EQ(agent_->receive()->verb, "welcome");
  EXPECT_FALSE(active());
}

TEST_F(PrewarmFlowTest, EndsWhenThePrewarmerEnds) {
  begin();
  let_in();
  until([this] { return running_ == 1; });
  ASSERT_EQ(::eventfd_write(event_.get(), 1), 0);
  until([this] { return !active(); });
  EXPECT_EQ(running_, 0);
}

TEST_F(PrewarmFlowTest, EndsWhenItCannotBeLaunchedOrIsRefused) {
  fail_launch_ = true;
  begin();
  let_in();
  until([this] { return !active(); });
  fail_launch_ = false;
  begin();
  const auto frame = agent_->receive();
  ASSERT_TRUE(frame);
  say(Frame("refused").add("attach", std::string(frame->get("attach"))).add("reason", "no"));
  until([this] { return !active(); });
  EXPECT_EQ(running_, 0);
}

}  // namespace
}  // namespace panal::node
