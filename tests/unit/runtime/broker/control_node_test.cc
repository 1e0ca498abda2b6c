// What the broker says over panald's socket, and what becomes of it when panald goes.
#include "runtime/broker/control_node.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "runtime/control/message.h"

namespace panal::broker {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

/// A panald that takes connections when it is told to.
class ControlNodeTest : public ::testing::Test {
 protected:
  ControlNodeTest() {
    std::string pattern = ::testing::TempDir() + "panal-node-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    listen();
    node_ = make_control_node(loop_, path(), milliseconds(300));
  }
  ~ControlNodeTest() override { std::filesystem::remove_all(directory_); }

  std::string path() const { return directory_ + "/panald.sock"; }
  void listen() {
    ::unlink(path().c_str());
    listener_ = UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path().c_str(), path().size() + 1);
    ASSERT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
    ASSERT_EQ(::listen(listener_.get(), 4), 0);
  }
  void accept() { peer_ = UniqueFd(::accept(listener_.get(), nullptr, nullptr)); }
  json heard() const {
    auto message = control::receive_message(peer_.get());
    EXPECT_TRUE(message) << message.error().message();
    return message ? std::move(message->body) : json();
  }
  void say(const json& answer) const { EXPECT_TRUE(control::send_message(peer_.get(), answer)); }

  void tell(NodeCall& call, std::uint64_t bytes) {
    answer_.reset();
    call.flow({{7, 3, bytes}, {8, 1, 2048}}, milliseconds(10'003),
              [this](const Answer<void>& answer) { answer_ = answer; });
  }
  bool answered() {
    return loop_.run_until([this] { return answer_.has_value(); }, std::chrono::seconds(5));
  }

  std::string directory_;
  UniqueFd listener_, peer_;
  loop::Loop loop_;
  std::unique_ptr<NodePort> node_;
  std::optional<Answer<void>> answer_;
};

TEST_F(ControlNodeTest, WhatFlowsIsToldOverOneConnectionForAsLongAsItLasts) {
  const auto call = node_->begin();
  tell(*call, 1'048'576);
  accept();
  EXPECT_EQ(heard(), json::parse(R"({"op":"flow","over_ms":10003,
                                     "sessions":[[7,3,1048576],[8,1,2048]]})"));
  say({{"ok", true}});
  ASSERT_TRUE(answered());
  EXPECT_TRUE(answer_->has_value());
  tell(*call, 5);
  EXPECT_EQ(heard()["sessions"][0][2], 5) << "the same connection";
  say({{"error", "flow: no"}, {"status", 400}});
  ASSERT_TRUE(answered());
  ASSERT_FALSE(answer_->has_value());
  EXPECT_EQ(answer_->error().status, 400);
}

TEST_F(ControlNodeTest, AnotherPanaldIsFoundAgain) {
  const auto call = node_->begin();
  tell(*call, 1);
  accept();
  (void)heard();
  say({{"ok", true}});
  ASSERT_TRUE(answered());
  peer_.reset();
  listener_.reset();
  tell(*call, 2);
  ASSERT_TRUE(answered());
  EXPECT_EQ(answer_->error().status, 503) << "what was said to the former one is lost";
  tell(*call, 3);
  ASSERT_TRUE(answered());
  EXPECT_FALSE(answer_->has_value()) << "nobody listens";
  listen();
  tell(*call, 4);
  accept();
  EXPECT_EQ(heard()["sessions"][0][2], 4);
  say({{"ok", true}});
  ASSERT_TRUE(answered());
  EXPECT_TRUE(answer_->has_value());
}

TEST_F(ControlNodeTest, OneThatHangsIsGivenUp) {
  const auto call = node_->begin();
  tell(*call, 1);
  accept();
  ASSERT_TRUE(answered());
  ASSERT_FALSE(answer_->has_value());
  EXPECT_EQ(answer_->error().status, 503);
}

}  // namespace
}  // namespace panal::broker
