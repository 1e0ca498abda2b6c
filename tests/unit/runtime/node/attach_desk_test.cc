#include "runtime/node/attach_desk.h"

#include <gmock/gmock.h>

#include "tests/unit/runtime/node/hub_fixture.h"

namespace panal::node {
namespace {

using agent::Frame;

class AttachDeskTest : public HubFixture {
 protected:
  std::future<Answer<Granted>> attach(AttachRequest request) {
    auto promise = std::make_shared<std::promise<Answer<Granted>>>();
    auto future = promise->get_future();
    loop_.post([this, request, promise] {
      desk_.attach(
          request, [](const std::string&) {},
          [promise](const Answer<Granted>& answer) { promise->set_value(answer); });
    });
    return future;
  }
  static AttachRequest request() {
    AttachRequest wanted;
    wanted.desktop = 7;
    return wanted;
  }
  /// Answers the next listen frame; its attach number.
  static std::string let_in(const FakeAgent& agent) {
    const auto frame = agent.receive();
    EXPECT_TRUE(frame && frame->verb == "listen");
    const std::string attach(frame->get("attach"));
    agent.send(Frame("listening").add("attach", attach));
    return attach;
  }

  int cancelled_ = 0;
  std::optional<Refusal> refusal_;
  AttachDesk desk_{
      AttachDesk::Parts{loop_, hub_, [this](DesktopId) { return refusal_; },
                        [](DesktopId) -> Result<UniqueFd> { return UniqueFd(::dup(0)); },
                        [this](DesktopId) { ++cancelled_; }, std::chrono::milliseconds(50),
                        std::chrono::seconds(10)}};
};

TEST_F(AttachDeskTest, GrantsAnAttachAndOpensItOnce) {
  const auto agent = ready_agent();
  auto pending = attach(request());
  let_in(*agent);
  const auto granted = pending.get();
  ASSERT_TRUE(granted) << granted.error().sentence;
  EXPECT_EQ(granted->cookie.size(), 32U);
  EXPECT_EQ(cancelled_, 1) << "pre-warming gives way";
  const auto open = [&](std::uint64_t number) {
    return on_loop([&] { return desk_.open(7, number).has_value(); });
  };
  EXPECT_FALSE(open(granted->attach + 1));
  EXPECT_FALSE(open(0));
  EXPECT_TRUE(open(granted->attach));
  EXPECT_FALSE(open(granted->attach)) << "once";
}

TEST_F(AttachDeskTest, ALaterAttachTakesOver) {
  const auto agent = ready_agent();
  auto first = attach(request());
  ASSERT_TRUE(agent->receive());
  auto polite = request();
  polite.takeover = false;
  EXPECT_EQ(attach(polite).get().error().status, 409);
  auto second = attach(request());
  EXPECT_EQ(first.get().error().status, 409);
  let_in(*agent);
  EXPECT_TRUE(second.get());
  EXPECT_EQ(on_loop([this] { return desk_.answers(); }),
            (optimiser::Counts{{"granted", 1}, {"in_use", 2}}));
}

TEST_F(AttachDeskTest, RefusesWithASentence) {
  auto bad = request();
  bad.keyboard = "pc105 es";
  EXPECT_EQ(attach(bad).get().error().status, 400);
  EXPECT_EQ(attach(AttachRequest{}).get().error().status, 400);
  refusal_ = Refusal{503, "stopped"};
  EXPECT_EQ(attach(request()).get().error().sentence, "stopped");
  refusal_.reset();
  // It runs, but no agent is there.
  ASSERT_TRUE(hub_.listen(spec_, directory_));
  EXPECT_EQ(attach(request()).get().error().status, 503);
  EXPECT_EQ(on_loop([this] { return desk_.answers(); }),
            (optimiser::Counts{{"malformed", 2}, {"unavailable", 2}}));
}

TEST_F(AttachDeskTest, PassesTheAgentsRefusalOn) {
  const auto agent = ready_agent();
  auto pending = attach(request());
  const auto frame = agent->receive();
  ASSERT_TRUE(frame);
  agent->send(
      Frame("refused").add("attach", std::string(frame->get("attach"))).add("reason", "why"));
  const auto refused = pending.get();
  EXPECT_EQ(refused.error().status, 503);
  EXPECT_THAT(refused.error().sentence, ::testing::HasSubstr("why"));
}

}  // namespace
}  // namespace panal::node
