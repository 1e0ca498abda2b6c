#include "runtime/control/control.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "runtime/control/message.h"

namespace panal::control {
namespace {

using nlohmann::json;

class ControlTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    here_ = UniqueFd(ends[0]);
    there_ = UniqueFd(ends[1]);
  }
  UniqueFd here_, there_;
};

TEST_F(ControlTest, CarriesAnObject) {
  ASSERT_TRUE(send_message(here_.get(), {{"op", "status"}, {"n", 7}}));
  const auto got = receive_message(there_.get());
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->body.at("op"), "status");
  EXPECT_EQ(got->body.at("n"), 7);
  EXPECT_FALSE(got->descriptor);
}

TEST_F(ControlTest, CarriesADescriptor) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
  UniqueFd reading(pipe_ends[0]);
  const UniqueFd writing(pipe_ends[1]);
  ASSERT_TRUE(send_message(here_.get(), {{"ok", true}}, reading.get()));
  const auto got = receive_message(there_.get());
  ASSERT_TRUE(got);
  ASSERT_TRUE(got->descriptor);
  EXPECT_NE(::fcntl(got->descriptor.get(), F_GETFD) & FD_CLOEXEC, 0);
  ASSERT_EQ(::write(writing.get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(got->descriptor.get(), &byte, 1), 1);
}

TEST_F(ControlTest, RefusesWhatIsNotAnObject) {
  for (const std::string& text :
       std::vector<std::string>{"x", "{", "[]", "7", "\"op\"", "null", "{\"op\":\"status\"}}",
                                "{\"op\":\xff}", "{'op':'status'}", std::string(4, '\0')}) {
    ASSERT_EQ(::send(here_.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    const auto got = receive_message(there_.get());
    ASSERT_FALSE(got) << text;
    EXPECT_EQ(got.error().code, EPROTO) << text;
  }
}

TEST_F(ControlTest, TakesAnEmptyDatagramForTheEnd) {
  // The two cannot be told apart; both close the connection.
  ASSERT_EQ(::send(here_.get(), "", 0, 0), 0);
  EXPECT_EQ(receive_message(there_.get()).error().code, ECONNRESET);
}

TEST_F(ControlTest, SurvivesDeepNesting) {
  std::string deep(200000, '[');
  ASSERT_EQ(::send(here_.get(), deep.data(), deep.size(), 0), static_cast<ssize_t>(deep.size()));
  EXPECT_EQ(receive_message(there_.get()).error().code, EPROTO);
}

TEST_F(ControlTest, RefusesSeveralDescriptorsAndLeaksNone) {
  const int before = ::dup(0);
  ::close(before);
  const int raw[3] = {0, 0, 0};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof raw)] = {};
  std::string text = "{}";
  iovec part{text.data(), text.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = space;
  header.msg_controllen = sizeof space;
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof raw);
  std::memcpy(CMSG_DATA(rights), raw, sizeof raw);
  ASSERT_GT(::sendmsg(here_.get(), &header, 0), 0);
  EXPECT_EQ(receive_message(there_.get()).error().code, EPROTO);
  const int after = ::dup(0);
  ::close(after);
  EXPECT_EQ(before, after);
}

TEST_F(ControlTest, CarriesItsLargestMessageAndRefusesLarger) {
  json large{{"text", std::string(kMessageBytes - 100, 'x')}};
  ASSERT_TRUE(send_message(here_.get(), large));
  const auto got = receive_message(there_.get());
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->body, large);
  large["text"] = std::string(kMessageBytes, 'x');
  EXPECT_EQ(send_message(here_.get(), large).error().code, EMSGSIZE);
}

TEST_F(ControlTest, SendsTextThatIsNoUtf8) {
  ASSERT_TRUE(send_message(here_.get(), {{"error", "bad \xff byte"}}));
  EXPECT_TRUE(receive_message(there_.get()));
}

TEST_F(ControlTest, SaysWhenThePeerIsGoneOrSilent) {
  const Connection connection(std::move(here_));
  EXPECT_EQ(connection.receive(std::chrono::milliseconds(1)).error().code, ETIMEDOUT);
  there_.reset();
  EXPECT_EQ(connection.receive(std::chrono::seconds(10)).error().code, ECONNRESET);
  EXPECT_EQ(connection.send({{"op", "x"}}).error().code, EPIPE);
  EXPECT_EQ(Connection::connect("/nonexistent/panald.sock").error().code, ENOENT);
}

}  // namespace
}  // namespace panal::control
