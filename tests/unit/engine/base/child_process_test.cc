#include "engine/base/child_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "engine/base/cleanup.h"
#include "engine/base/pipe.h"

namespace panal {
namespace {

using ::testing::HasSubstr;

ChildCommand script_command(const std::string& script) {
  return {.program = "/bin/sh", .argv = {"sh", "-c", script}};
}

/// How a script ends that is started with `command`'s ways.
ChildEnd end_of(const ChildCommand& command) {
  auto child = ChildProcess::start(command);
  EXPECT_TRUE(child) << child.error().message();
  if (!child) return {};
  const auto end = child->wait();
  EXPECT_TRUE(end) << end.error().message();
  EXPECT_FALSE(child->valid());
  return end.value_or(ChildEnd{});
}

/// All that comes out of a pipe until nobody holds its other end.
std::string all_of(const UniqueFd& pipe) {
  std::string text;
  char block[256];
  for (ssize_t got = 0; (got = ::read(pipe.get(), block, sizeof block)) > 0;)
    text.append(block, static_cast<std::size_t>(got));
  return text;
}

TEST(ChildProcess, SaysHowItEnded) {
  const ChildEnd well = end_of(script_command("exit 0"));
  EXPECT_TRUE(well.well());
  EXPECT_EQ(well.code(), 0);
  const ChildEnd badly = end_of(script_command("exit 3"));
  EXPECT_FALSE(badly.well());
  EXPECT_FALSE(badly.by_signal);
  EXPECT_EQ(badly.code(), 3);
  const ChildEnd killed = end_of(script_command("kill -9 $$"));
  EXPECT_FALSE(killed.well());
  EXPECT_TRUE(killed.by_signal);
  EXPECT_EQ(killed.status, SIGKILL);
  EXPECT_EQ(killed.code(), 137);
}

TEST(ChildProcess, OneThatIsNotThereIsNamed) {
  for (const char* program : {"/nonexistent/panal-program", "panal-no-such-program"}) {
    const auto child = ChildProcess::start({.program = program});
    ASSERT_FALSE(child) << program;
    EXPECT_EQ(child.error().code, ENOENT);
    EXPECT_EQ(child.error().context, std::string("start ") + program);
  }
}

TEST(ChildProcess, ANameIsLookedForInThePath) { EXPECT_TRUE(end_of({.program = "true"}).well()); }

TEST(ChildProcess, IsWaitedForNoLongerThanWanted) {
  auto child = ChildProcess::start(script_command("exec sleep 1000"));
  ASSERT_TRUE(child) << child.error().message();
  for (const int timeout_ms : {0, 20}) {
    const auto end = child->wait(std::chrono::milliseconds(timeout_ms));
    ASSERT_TRUE(end) << end.error().message();
    EXPECT_FALSE(*end) << timeout_ms;
    EXPECT_TRUE(child->valid());
  }
  ASSERT_TRUE(child->process().send_signal(SIGTERM));
  const auto end = child->wait(std::chrono::seconds(60));
  ASSERT_TRUE(end) << end.error().message();
  ASSERT_TRUE(*end);
  EXPECT_TRUE((*end)->by_signal);
  EXPECT_EQ((*end)->status, SIGTERM);
  EXPECT_EQ(child->wait().error().code, ECHILD) << "there is none any more";
  EXPECT_EQ(child->wait(std::chrono::milliseconds(0)).error().code, ECHILD);
}

TEST(ChildProcess, IsKilledAndReapedWhenItGoes) {
  pid_t first = -1;
  pid_t second = -1;
  {
    auto child = ChildProcess::start(script_command("exec sleep 1000"));
    ASSERT_TRUE(child);
    first = child->process().pid();
    auto next = ChildProcess::start(script_command("exec sleep 1000"));
    ASSERT_TRUE(next);
    second = next->process().pid();
    *child = std::move(*next);
    EXPECT_EQ(::waitpid(first, nullptr, WNOHANG), -1) << "another has taken its place";
    EXPECT_EQ(::waitpid(second, nullptr, WNOHANG), 0) << "which runs";
  }
  EXPECT_EQ(::waitpid(second, nullptr, WNOHANG), -1);
}

TEST(ChildProcess, OneThatIsReleasedIsTheCallers) {
  Pidfd mine;
  {
    auto child = ChildProcess::start(script_command("exec sleep 1000"));
    ASSERT_TRUE(child);
    mine = child->release();
    EXPECT_FALSE(child->valid());
  }
  EXPECT_EQ(::waitpid(mine.pid(), nullptr, WNOHANG), 0) << "it runs";
  ASSERT_TRUE(mine.send_signal(SIGKILL));
  EXPECT_EQ(::waitpid(mine.pid(), nullptr, 0), mine.pid());
}

TEST(ChildProcess, OneThatSomebodyElseHasReapedIsAnError) {
  auto child = ChildProcess::start(script_command("exit 0"));
  ASSERT_TRUE(child);
  const pid_t pid = child->process().pid();
  ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
  const auto end = child->wait();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, ECHILD);
  EXPECT_EQ(end.error().context, "wait for /bin/sh");
  EXPECT_FALSE(child->valid());
}

TEST(ChildProcess, ItsDescriptorsMayHaveEachOthersNumbers) {
  auto one = make_pipe();
  auto two = make_pipe();
  auto same = make_pipe();
  ASSERT_TRUE(one && two && same);
  const auto name = [](const UniqueFd& fd) { return "/proc/self/fd/" + std::to_string(fd.get()); };
  ChildCommand command = script_command("echo two > " + name(one->write) + "; echo one > " +
                                        name(two->write) + "; echo same > " + name(same->write));
  command.descriptors = {{one->write.get(), two->write.get()},
                         {two->write.get(), one->write.get()},
                         {same->write.get(), same->write.get()}};
  EXPECT_TRUE(end_of(command).well());
  for (auto* pipe : {&*one, &*two, &*same}) pipe->write.reset();
  EXPECT_EQ(all_of(one->read), "one\n");
  EXPECT_EQ(all_of(two->read), "two\n");
  EXPECT_EQ(all_of(same->read), "same\n");
}

TEST(ChildProcess, HasADescriptorOnceAndNothingOfItsPipesOtherEnd) {
  auto given = make_pipe();
  auto said = make_pipe();
  ASSERT_TRUE(given && said);
  struct stat info{};
  ASSERT_EQ(::fstat(given->write.get(), &info), 0);
  const std::string inode = std::to_string(info.st_ino);
  ChildCommand command =
      script_command("ls -l /proc/self/fd | grep -c 'pipe:." + inode + ".$'; exit 0");
  command.descriptors = {{STDIN_FILENO, ChildDescriptor::kNull},
                         {STDOUT_FILENO, said->write.get()},
                         {8, given->write.get()}};
  EXPECT_TRUE(end_of(command).well());
  said->write.reset();
  EXPECT_EQ(all_of(said->read), "1\n");
}

TEST(ChildProcess, AnEmptyDescriptorIsRefused) {
  const UniqueFd none;
  ChildCommand command = script_command("exit 0");
  command.descriptors = {{STDIN_FILENO, none.get()}};
  const auto child = ChildProcess::start(command);
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().code, EBADF);
  EXPECT_THAT(child.error().context, HasSubstr("/bin/sh"));
}

TEST(ChildProcess, ItsSignalsAreTheUsualOnes) {
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &blocked, &before), 0);
  const auto handler = ::signal(SIGPIPE, SIG_IGN);
  const Cleanup as_it_was([&] {
    ::signal(SIGPIPE, handler);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  });
  EXPECT_EQ(end_of(script_command("kill -TERM $$")).code(), 128 + SIGTERM);
  EXPECT_EQ(end_of(script_command("kill -PIPE $$")).code(), 128 + SIGPIPE);
  ChildCommand as_here = script_command("kill -PIPE $$; exit 5");
  as_here.usual_signals.clear();
  EXPECT_EQ(end_of(as_here).code(), 5) << "ignored as it is here";
}

TEST(ChildProcess, LeadsAGroupWhereItIsToldTo) {
  for (const bool own : {false, true}) {
    ChildCommand command = script_command("exec sleep 1000");
    command.own_group = own;
    const auto child = ChildProcess::start(command);
    ASSERT_TRUE(child);
    const pid_t pid = child->process().pid();
    EXPECT_EQ(::getpgid(pid), own ? pid : ::getpgrp());
  }
}

TEST(ChildProcess, ItsEnvironmentIsTheCallersOrItsOwn) {
  ::setenv("PANAL_CHILD_TEST", "here", 1);
  const Cleanup unset([] { ::unsetenv("PANAL_CHILD_TEST"); });
  ChildCommand command = script_command("test \"$PANAL_CHILD_TEST\" = here");
  EXPECT_TRUE(end_of(command).well());
  command.environment = std::vector<std::string>{"PATH=/usr/bin:/bin"};
  EXPECT_FALSE(end_of(command).well());
}

}  // namespace
}  // namespace panal
