#include "runtime/agent/host_link.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>

namespace panal::agent {
namespace {

using std::chrono::milliseconds;

/// panald's end of the socket.
class HostLinkTest : public ::testing::Test {
 protected:
  HostLinkTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "link-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    listener_ = UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path().c_str(), path().size() + 1);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 2), 0);
  }
  ~HostLinkTest() override { std::filesystem::remove_all(directory_); }
  std::string path() const { return directory_ + "/agent.sock"; }
  UniqueFd accept() { return UniqueFd(::accept(listener_.get(), nullptr, nullptr)); }

  std::string directory_;
  UniqueFd listener_;
};

TEST_F(HostLinkTest, AsksLessAndLessOftenWhileItIsTurnedAway) {
  HostLink link(path());
  EXPECT_EQ(link.pause(), milliseconds(50));
  milliseconds before = link.pause();
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(link.try_connect());
    accept().reset();
    link.send(Frame("hello"));  // nobody reads it
    EXPECT_FALSE(link.connected());
    EXPECT_GE(link.pause(), before);
    before = link.pause();
  }
  EXPECT_EQ(link.pause(), milliseconds(1000));

  ASSERT_TRUE(link.try_connect());
  UniqueFd host = accept();
  ASSERT_EQ(::send(host.get(), "query", 5, 0), 5);
  ASSERT_TRUE(link.receive());
  EXPECT_EQ(link.pause(), milliseconds(50)) << "taken: it comes back at once";
  host.reset();
  EXPECT_FALSE(link.receive());
  EXPECT_FALSE(link.connected());
  EXPECT_EQ(link.pause(), milliseconds(50));
}

TEST_F(HostLinkTest, AsksLessAndLessOftenWhileNobodyListens) {
  HostLink link(directory_ + "/none");
  for (int i = 0; i < 8; ++i) EXPECT_FALSE(link.try_connect());
  EXPECT_EQ(link.pause(), milliseconds(1000));
}

}  // namespace
}  // namespace panal::agent
