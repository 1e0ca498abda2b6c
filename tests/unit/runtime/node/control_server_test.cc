#include "runtime/node/control_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "runtime/control/control.h"
#include "runtime/control/message.h"

namespace panal::node {
namespace {

using nlohmann::json;
using std::chrono::seconds;

class ControlServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "ctl-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    ControlServer::Options options;
    options.path = directory_ + "/panald.sock";
    options.group = ::getegid();
    options.peers = {::geteuid()};
    auto server = ControlServer::open(
        loop_, options,
        [this](const CallerPtr& caller, const json& request) {
          if (request.value("op", "") == "hold") {
            held_ = caller;
            caller->progress("held");
            return;
          }
          caller->answer({{"echo", request}});
        },
        Logger::silent());
    if (!server) GTEST_SKIP() << server.error().message();  // chown to root needs root
    server_ = std::move(*server);
    thread_ = std::thread([this] { loop_.run(); });
  }
  void TearDown() override {
    std::promise<void> gone;
    if (server_) {
      loop_.post([&] {
        held_.reset();
        server_.reset();
        gone.set_value();
      });
      gone.get_future().wait();
    }
    loop_.stop();
    if (thread_.joinable()) thread_.join();
    std::filesystem::remove_all(directory_);
  }
  control::Connection connect() {
    return std::move(*control::Connection::connect(directory_ + "/panald.sock"));
  }

  std::string directory_;
  loop::Loop loop_;
  std::unique_ptr<ControlServer> server_;
  CallerPtr held_;
  std::thread thread_;
};

TEST_F(ControlServerTest, AnswersOneRequestAfterTheOther) {
  struct stat info{};
  ASSERT_EQ(::stat((directory_ + "/panald.sock").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0660U);
  const auto connection = connect();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(connection.send({{"op", "x"}, {"i", i}}));
    const auto answer = connection.receive(seconds(10));
    ASSERT_TRUE(answer);
    EXPECT_TRUE(answer->body.value("ok", false));
    EXPECT_EQ(answer->body["echo"]["i"], i);
  }
}

TEST_F(ControlServerTest, EndsAConnectionThatSendsNonsense) {
  for (const std::string& text :
       {std::string("x"), std::string("[]"), std::string("{\"op\""), std::string(4, '\0')}) {
    const auto connection = connect();
    ASSERT_GT(::send(connection.fd(), text.data(), text.size(), 0), 0);
    const auto answer = connection.receive(seconds(10));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body.value("status", 0), 400);
    EXPECT_EQ(connection.receive(seconds(10)).error().code, ECONNRESET);
  }
}

TEST_F(ControlServerTest, TakesOneRequestAtATime) {
  const auto connection = connect();
  ASSERT_TRUE(connection.send({{"op", "hold"}}));
  EXPECT_EQ(connection.receive(seconds(10))->body["progress"], "held");
  ASSERT_TRUE(connection.send({{"op", "x"}}));
  EXPECT_EQ(connection.receive(seconds(10))->body.value("status", 0), 400);
  EXPECT_EQ(connection.receive(seconds(10)).error().code, ECONNRESET);
}

TEST_F(ControlServerTest, SurvivesACallerThatLeaves) {
  {
    const auto connection = connect();
    ASSERT_TRUE(connection.send({{"op", "hold"}}));
    ASSERT_TRUE(connection.receive(seconds(10)));
  }
  std::promise<void> answered;
  loop_.post([&] {
    held_->answer(json::object());
    held_.reset();
    answered.set_value();
  });
  answered.get_future().wait();
  const auto connection = connect();
  ASSERT_TRUE(connection.send({{"op", "x"}}));
  EXPECT_TRUE(connection.receive(seconds(10)));
}

}  // namespace
}  // namespace panal::node
