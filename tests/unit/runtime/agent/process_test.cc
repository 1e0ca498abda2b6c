#include "runtime/agent/process.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstring>

namespace panal::agent {
namespace {

// A name of this test's own, without a file: free as soon as nobody holds the socket.
UniqueFd listener(const std::string& name) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) return {};
  if (::listen(fd.get(), 1) != 0) return {};
  return fd;
}

TEST(Process, AGroupThatWasEndedHoldsNothing) {
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  const std::string name = "panal-process-test-" + std::to_string(::getpid());
  for (int round = 0; round < 20; ++round) {
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const pid_t leader = ::fork();
    if (leader == 0) {
      ::setpgid(0, 0);
      const UniqueFd socket = listener(name);
      // Helpers that hold the socket, as nxagent's do.
      for (int i = 0; i < 8; ++i)
        if (::fork() == 0)
          for (;;) ::pause();
      [[maybe_unused]] const auto told = ::write(ready[1], socket ? "y" : "n", 1);
      ::_exit(0);
    }
    ::close(ready[1]);
    char byte = 0;
    ASSERT_EQ(::read(ready[0], &byte, 1), 1);
    ::close(ready[0]);
    EXPECT_EQ(byte, 'y') << "the round before holds the name";
    ASSERT_EQ(::waitpid(leader, nullptr, 0), leader);
    end_group(leader);
    EXPECT_NE(::kill(-leader, 0), 0);
    EXPECT_TRUE(listener(name)) << "the next one could not listen";
  }
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

TEST(Process, NobodysGroupIsLeftAlone) {
  end_group(-1);
  end_group(0);
  end_group(1);
}

}  // namespace
}  // namespace panal::agent
