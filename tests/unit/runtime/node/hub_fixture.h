#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <thread>

#include "runtime/node/agent_hub.h"
#include "tests/unit/runtime/node/fake_agent.h"

namespace panal::node {

/// A hub on a running loop, with one desktop whose root is whoever runs the test.
class HubFixture : public ::testing::Test {
 protected:
  explicit HubFixture(std::chrono::milliseconds patience = AgentHub::kPatience)
      : hub_(loop_, Logger::silent(), patience) {
    std::string pattern = (std::filesystem::temp_directory_path() / "hub-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    spec_.id = 7;
    spec_.name = "desk";
    spec_.ids.first = ::geteuid();
    spec_.session = {"icewm-session"};
    spec_.user.login = "alice";
    spec_.user.home_path = "/home/alice";
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~HubFixture() override {
    loop_.stop();
    thread_.join();
    std::filesystem::remove_all(directory_);
  }

  /// Runs `work` on the loop's thread and returns its value.
  template <typename Work>
  auto on_loop(Work work) {
    std::promise<decltype(work())> promise;
    loop_.post([&] { promise.set_value(work()); });
    return promise.get_future().get();
  }
  Pidfd self() { return *Pidfd::open(::getpid()); }

  /// listen, hello, welcome, ready.
  std::unique_ptr<FakeAgent> ready_agent() {
    EXPECT_TRUE(hub_.listen(spec_, directory_));
    auto agent = std::make_unique<FakeAgent>(directory_);
    EXPECT_TRUE(agent->connected());
    EXPECT_TRUE(agent->hello());
    auto ready = std::async(std::launch::async, [this] {
      return hub_.wait_ready(7, self(), std::chrono::seconds(10));
    });
    EXPECT_EQ(agent->receive()->verb, "welcome");
    EXPECT_EQ(agent->receive()->verb, "query");
    EXPECT_TRUE(agent->send(agent::Frame("status").add("session", "none")));
    const auto outcome = ready.get();
    EXPECT_TRUE(outcome) << outcome.error().message();
    return agent;
  }

  std::string directory_;
  desktop::DesktopSpec spec_;
  loop::Loop loop_;
  std::thread thread_;
  AgentHub hub_;
};

}  // namespace panal::node
