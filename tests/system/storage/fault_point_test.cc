#include "bench/faults/fault_point.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "tests/system/storage/storage_fixture.h"

namespace panal::bench {
namespace {

class FaultPoint : public storage::StorageTest {
 protected:
  [[nodiscard]] bool has(const std::string& name) const {
    return std::filesystem::exists(dir_ + "/" + name);
  }
  void make(const std::string& name) const { std::ofstream(dir_ + "/" + name) << name; }

  /// What `work` does in a child of its own, in a session of its own.
  static int apart(const std::function<void()>& work) {
    const pid_t child = ::fork();
    if (child == 0) {
      (void)::setsid();
      work();
      ::_exit(0);
    }
    int status = 0;
    (void)::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
};

TEST_F(FaultPoint, FollowsProgramsWhateverSessionTheyAreIn) {
  const std::string script = "cd " + dir_ + " && echo 1 > one && echo 2 > two";
  const auto work = [&] {
    return apart([&] { ::execl("/bin/sh", "sh", "-c", script.c_str(), nullptr); });
  };
  const FaultRun whole = run_to_change(0, work, [] { return AtPoint::kGoOn; });
  EXPECT_TRUE(whole.finished);
  EXPECT_EQ(whole.status, 0);
  EXPECT_GE(whole.changes, 4U) << "two files are made, and written";
  EXPECT_TRUE(has("two"));
  for (unsigned nth = 1; nth <= whole.changes; ++nth) {
    for (const char* name : {"one", "two"}) std::filesystem::remove(dir_ + "/" + name);
    const FaultRun run = run_killed_before(nth, work);
    EXPECT_TRUE(run.reached) << nth;
    EXPECT_FALSE(run.finished) << nth;
    EXPECT_FALSE(run.lives_on) << nth;
    // Each file is made by one call and written by another.
    EXPECT_EQ(has("one"), nth > 1) << nth;
    EXPECT_EQ(has("two"), nth > 3) << nth;
  }
}

TEST_F(FaultPoint, CanKillOneAndLetTheOthersGoOn) {
  const auto work = [&] {
    const int helper = apart([&] { make("by-the-helper"); });
    make("by-its-parent");
    return helper;
  };
  FaultRun run = run_to_change(1, work, [] { return AtPoint::kKillOne; });
  EXPECT_TRUE(run.reached);
  EXPECT_FALSE(run.lives_on);
  EXPECT_EQ(run.status, 128 + SIGKILL) << "of the helper, as its parent was told";
  EXPECT_FALSE(has("by-the-helper"));
  EXPECT_TRUE(has("by-its-parent"));
  // The parent alone: its helper sees that, and comes to its end.
  const auto orphaning = [&] {
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child == 0) {
      while (::getppid() == parent) ::usleep(1000);
      make("by-an-orphan");
      ::_exit(0);
    }
    make("never");
    (void)::waitpid(child, nullptr, 0);
    return 0;
  };
  run = run_to_change(1, orphaning, [] { return AtPoint::kKillOne; });
  EXPECT_TRUE(run.reached);
  EXPECT_FALSE(run.finished);
  EXPECT_FALSE(run.lives_on);
  EXPECT_FALSE(has("never"));
  EXPECT_TRUE(has("by-an-orphan")) << "who waits for the run waits for all of it";
}

}  // namespace
}  // namespace panal::bench
