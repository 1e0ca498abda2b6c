// What a real panald lets its desktops send, and to whom.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

#include "engine/base/cleanup.h"
#include "tests/system/node/node_fixture.h"

namespace panal::node {
namespace {

using nlohmann::json;
using store::Desired;
using store::Observed;
using ::testing::HasSubstr;

/// In Panal's network namespace.
std::string class_of_line(const RunningNode& node) {
  const std::string command = "nsenter --net=" + node.config().net_namespace_file() +
                              " tc class show dev panal-send 2>&1 | grep f000:fffe";
  std::string out;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return out;
  char text[512];
  while (std::fgets(text, sizeof text, pipe) != nullptr) out += text;
  ::pclose(pipe);
  return out;
}

TEST_F(NodeTest, BoundsWhatAllItsDesktopsSendTogether) {
  EXPECT_EQ(class_of_line(*node_), "") << "nobody is taken through a queue for nothing";
  const auto again = [](const std::string& more) {
    node_->end_panald(SIGTERM);
    node_->configure(more);
    node_->start_panald();
  };
  again("[network]\nline_send = \"20 Mbit\"\n");
  EXPECT_THAT(class_of_line(*node_), HasSubstr("ceil 20Mbit"));
  const auto desktop = new_desktop();
  node_->want(desktop.id, Desired::kRunning);
  node_->await(desktop.id, Observed::kRunning);
  again("");
  EXPECT_THAT(class_of_line(*node_), ::testing::Not(HasSubstr("ceil 20Mbit")));
}

TEST_F(NodeTest, FollowsNetworkPoliciesLiveAndSendsPacketsToProveThem) {
  const auto write = [](const std::string& text) {
    std::ofstream(node_->config().policies_file) << text;
  };
  const Cleanup no_file([&write] {
    write("");
    node_->ask({{"op", "net_apply"}});
  });
  write("[policy.class]\ngroup = \"room\"\n");
  const json applied = node_->ask({{"op", "net_apply"}, {"actor", "test"}});
  EXPECT_EQ(applied["changes"], json::array({"policy class added"})) << applied.dump();
  const auto noted = node_->admin().audit_rows(1);
  ASSERT_TRUE(noted);
  EXPECT_EQ(noted->front().action, "net.apply");

  const auto one = new_desktop(), two = new_desktop();
  for (const auto& desktop : {one, two}) node_->want(desktop.id, Desired::kRunning);
  for (const auto& desktop : {one, two}) node_->await(desktop.id, Observed::kRunning);
  json question = {{"op", "net_test"},
                   {"from", {{"desktop", one.id}}},
                   {"to", {{"desktop", two.id}}},
                   {"v6", false},
                   {"traffic", "22/tcp"}};
  for (const bool v6 : {false, true}) {
    question["v6"] = v6;
    const json denied = node_->ask(question);
    EXPECT_EQ(denied["rule"], "no policy: nothing is allowed") << denied.dump();
    EXPECT_EQ(denied["sent"]["left"], true) << denied.dump();
    EXPECT_EQ(denied["sent"]["passed"], false) << denied.dump();
    EXPECT_EQ(denied["proved"], true) << denied.dump();
  }

  // By notification: nobody asks panald to look.
  question["op"] = "net_explain";
  const auto explained = [&question](const std::string& rule) {
    json said;
    for (int i = 0; i < 600; ++i) {
      said = node_->ask(question);
      if (said.value("rule", "") == rule) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    FAIL() << said.dump();
  };
  for (const auto& desktop : {one, two})
    ASSERT_TRUE(node_->admin().set_net_policy({store::NetScope::kDesktop, "", desktop.id}, "class",
                                              "test"));
  explained("policy class: group room");
  const json way_out = node_->ask({{"op", "net_uplink"}});
  EXPECT_EQ(way_out["kind"], "none") << way_out.dump();
  EXPECT_EQ(way_out["lines"].size(), 1U) << way_out.dump();
  const json shown = node_->ask({{"op", "net_show"}, {"desktop", two.id}});
  EXPECT_EQ(shown["given_by"], "desktop") << shown.dump();

  write("[policy.class]\ngr0up = \"room\"\n");
  const json refused = node_->ask({{"op", "net_apply"}});
  EXPECT_EQ(refused["status"], 400);
  EXPECT_THAT(refused.value("error", ""), HasSubstr("network.toml:2: unknown key gr0up"));
  explained("policy class: group room");
  node_->end_panald(SIGKILL);
  node_->start_panald();
  explained("policy class: group room");
  EXPECT_THAT(node_->ask({{"op", "net_show"}}).value("mistake", ""),
              HasSubstr("unknown key gr0up"));
}

}  // namespace
}  // namespace panal::node
