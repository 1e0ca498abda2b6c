#include "engine/base/user_namespace.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "engine/base/cleanup.h"

namespace panal {
namespace {

/// A maker that is killed at any moment leaves no holder of its namespace, which would have all its
/// descriptors.
TEST(UserNamespaceTest, AKilledMakerLeavesNoHolder) {
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  const Cleanup as_before([] { (void)::prctl(PR_SET_CHILD_SUBREAPER, 0); });
  for (int turn = 0; turn < 400; ++turn) {
    const pid_t maker = ::fork();
    if (maker == 0) {
      // On one processor a holder waits until its maker gives way: there it is killed before.
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(static_cast<unsigned>(turn) % 2, &one);
      (void)::sched_setaffinity(0, sizeof one, &one);
      for (;;) (void)UserNamespace::create(70'000'000, 65536);
    }
    ::usleep(static_cast<useconds_t>(300 + 7 * turn));
    ::kill(maker, SIGKILL);
    ASSERT_EQ(::waitpid(maker, nullptr, 0), maker);
    // A holder that is left becomes this process's child.
    pid_t ended = 0;
    for (int wait = 0; wait < 2000 && (ended = ::waitpid(-1, nullptr, WNOHANG)) >= 0; ++wait)
      ::usleep(1000);
    if (ended < 0) continue;
    std::ifstream children("/proc/thread-self/children");
    for (pid_t holder = 0; children >> holder;) ::kill(holder, SIGKILL);
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
    FAIL() << "killed after " << 300 + 7 * turn << " us it left a process";
  }
}

}  // namespace
}  // namespace panal
