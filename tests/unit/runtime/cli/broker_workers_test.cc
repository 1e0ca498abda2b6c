#include "runtime/cli/broker_workers.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "engine/base/process_marks.h"

namespace panal::cli {
namespace {

using std::chrono::milliseconds;

class BrokerWorkers : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "workers-XXXXXX";
    config_.run_dir = mkdtemp(pattern.data());
    auto marks = open_process_marks(config_.broker_workers_file());
    ASSERT_TRUE(marks) << marks.error().message();
    marks_ = std::move(*marks);
  }
  void TearDown() override { std::filesystem::remove_all(config_.run_dir); }

  /// A worker without a broker; one that is busy does not hear SIGTERM.
  pid_t worker(bool busy) {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
      alarm(60);
      if (busy) signal(SIGTERM, SIG_IGN);
      if (!mark_this_process(marks_.get())) _exit(1);
      (void)!write(ready[1], "x", 1);
      while (true) pause();
    }
    close(ready[1]);
    char byte = 0;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
  }
  static int ended_by(pid_t child) {
    int status = 0;
    return waitpid(child, &status, WNOHANG) == child && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  }

  config::Config config_;
  UniqueFd marks_;
};

TEST_F(BrokerWorkers, NoneIsFine) {
  EXPECT_EQ(end_broker_workers(config_, milliseconds(10)).value(), 0U);
  std::filesystem::remove(config_.broker_workers_file());
  EXPECT_EQ(end_broker_workers(config_, milliseconds(10)).value(), 0U);
}

TEST_F(BrokerWorkers, AreAskedAndThenKilledAndGoneWhenItReturns) {
  const pid_t good = worker(false);
  const pid_t busy = worker(true);
  const auto ended = end_broker_workers(config_, milliseconds(300));
  ASSERT_TRUE(ended) << ended.error().message();
  EXPECT_EQ(*ended, 2U);
  EXPECT_EQ(ended_by(good), SIGTERM);
  EXPECT_EQ(ended_by(busy), SIGKILL);
}

}  // namespace
}  // namespace panal::cli
