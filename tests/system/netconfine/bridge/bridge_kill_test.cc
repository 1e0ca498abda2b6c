// kill -9 before every single thing that is said to the kernel while desktops join and leave, here
// and in their namespaces: the next panald finds what is there by its name, makes it whole, and
// nothing is there twice.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "tests/system/netconfine/bridge/classroom.h"

namespace {

// Calls of sendto(2) until the process is killed before one; 0: never. All threads count: those
// that work inside desktops' namespaces, too, which a tracer would not follow.
std::atomic<int> left_to_say{0};
// The same until one is refused.
std::atomic<int> left_to_refuse{0};

}  // namespace

/// In place of libc's, for this whole program: all of netlink is said by it.
extern "C" ssize_t sendto(int fd, const void* bytes, size_t size, int flags,
                          const struct sockaddr* to, socklen_t length) {
  if (left_to_say.load() > 0 && left_to_say.fetch_sub(1) == 1) ::kill(::getpid(), SIGKILL);
  if (left_to_refuse.load() > 0 && left_to_refuse.fetch_sub(1) == 1) {
    errno = ENOBUFS;
    return -1;
  }
  return static_cast<ssize_t>(::syscall(SYS_sendto, fd, bytes, size, flags, to, length));
}

namespace panal::netconfine {
namespace {

using namespace testing;

constexpr int kMostCalls = 500;

/// Everything that changes something: a second bridge with its trunk among it, a move to another
/// group, and bridges that go.
Result<void> work(Classroom& world) {
  PANAL_TRY(world.try_join(1, kRoom));
  PANAL_TRY(world.try_join(2, kRoom));
  PANAL_TRY(world.try_join(2, kHall));
  PANAL_TRY(world.bridges().remove_empty());
  PANAL_TRY(world.try_join(2, kRoom));
  PANAL_TRY(world.bridges().leave(1));
  return world.bridges().remove_empty();
}

/// True when it came to its end.
bool work_killed_before(int call, Classroom& world) {
  const pid_t child = ::fork();
  if (child == 0) {
    world.open_again(1);  // a socket of its own
    left_to_say = call;
    const auto done = work(world);
    left_to_say = 0;
    ::_exit(done ? 0 : 3);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  if (WIFEXITED(status)) {
    EXPECT_EQ(WEXITSTATUS(status), 0) << "call " << call;
  }
  return WIFEXITED(status);
}

TEST(BridgeKillPoints, WhateverIsLeftIsMadeWholeAndNothingIsThereTwice) {
  Classroom world(1);
  for (const DesktopId id : {1, 2}) world.add(id);
  const auto clean_up = [&](int call) {
    world.leave(1);
    world.leave(2);
    ASSERT_TRUE(world.bridges().remove_empty());
    EXPECT_EQ(world.links(), "") << "after a kill before call " << call;
    for (const DesktopId id : {1, 2})
      EXPECT_EQ(output_inside(world.inside(id), "ip -br link show | grep -c ^eth"), "0\n")
          << "after a kill before call " << call;
  };
  int calls = 0;
  for (bool finished = false; !finished;) {
    ASSERT_LT(++calls, kMostCalls);
    // Taken away as it was left.
    (void)work_killed_before(calls, world);
    world.open_again(1);
    clean_up(calls);
    // Made whole.
    finished = work_killed_before(calls, world);
    world.open_again(1);
    world.join(1, kRoom);
    world.join(2, kRoom);
    ASSERT_TRUE(world.bridges().remove_empty());
    EXPECT_EQ(world.audit(), "") << "after a kill before call " << calls;
    const std::string links = world.links();
    EXPECT_TRUE(links == "pnbbac24a40-0 pnbbac24a40-1 png1 png2 pntbac24a40-1 pnubac24a40-1 ")
        << "after a kill before call " << calls << ": " << links;
    for (const DesktopId id : {1, 2})
      EXPECT_EQ(output_inside(world.inside(id), "ip -br link show | grep -c ^eth"), "1\n")
          << "after a kill before call " << calls;
    clean_up(calls);
    if (HasFailure()) return;
  }
  EXPECT_GT(calls, 20) << "the work says more than that";
  RecordProperty("calls", calls);
}

TEST(BridgeRefusals, WhoCannotJoinIsOnNoBridge) {
  Classroom world;
  world.add(1);
  for (const char* before : {"nothing", "its port", "another group's"}) {
    int calls = 0;
    for (bool joined = false; !joined;) {
      ASSERT_LT(++calls, kMostCalls);
      if (before == std::string("its port")) world.join(1, kRoom);
      if (before == std::string("another group's")) world.join(1, kHall);
      left_to_refuse = calls;
      joined = world.try_join(1, kRoom).has_value();
      left_to_refuse = 0;
      EXPECT_EQ(output_inside(world.panal(), "ip -br link show up | grep -c '^png'"),
                joined ? "1\n" : "0\n")
          << before << " was there, call " << calls << " refused";
      world.leave(1);
      if (HasFailure()) return;
    }
    EXPECT_GT(calls, 3) << before;
  }
}

}  // namespace
}  // namespace panal::netconfine
