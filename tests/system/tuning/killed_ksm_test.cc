// panald is killed while KSM bursts, and none comes after it: ksmd goes on at that pace until
// somebody says `panal down`, or applies a profile.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <stdlib.h>

#include <cerrno>
#include <utility>

#include "engine/kernel/ksm.h"
#include "engine/profile/saved.h"
#include "runtime/optimiser/ksm_keeper.h"
#include "tests/system/tuning/tuned_lab.h"

namespace panal::profile {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class RealKilledKsm : public TunedLab {
 protected:
  void SetUp() override {
    TunedLab::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const char* lab = ::getenv("PANAL_LAB_CGROUP");
    ASSERT_NE(lab, nullptr) << "run me in scripts/lab";
    const std::string place = ::testing::TempDir() + "killed-ksm";
    std::filesystem::create_directories(place + "/run");
    config_ = place + "/panal.toml";
    // A node of its own, of which nothing runs.
    std::ofstream(config_) << "[paths]\nstate = \"" << place << "/state\"\nrun = \"" << place
                           << "/run\"\n[cgroup]\nparent = \"" << lab << "/killed-ksm\"\n";
  }
  void TearDown() override { kill_it(); }

  /// The governor of a panald, in a process of its own, with KSM at full pace when this returns.
  void begin() {
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
    governor_ = ::fork();
    if (governor_ == 0) {
      optimiser::KsmKeeper keeper(*tree_, optimiser::ksm_record_file(state_dir_), kMachineLockFile);
      const auto applied = keeper.apply({true, kPages, kSleepMs, KsmPhase::kBurst}, true);
      (void)!::write(pipe[1], applied ? "y" : "n", 1);
      for (;;) ::pause();
    }
    ::close(pipe[1]);
    char answer = 0;
    while (::read(pipe[0], &answer, 1) < 0 && errno == EINTR) {
    }
    ::close(pipe[0]);
    ASSERT_EQ(answer, 'y');
  }
  void kill_it() {
    if (governor_ <= 0) return;
    (void)::kill(governor_, SIGKILL);
    (void)::waitpid(std::exchange(governor_, -1), nullptr, 0);
  }
  Ended down() const { return panal({"--config", config_, "down"}); }
  std::string doctor() const { return panal({"--config", config_, "doctor"}).said; }
  bool at_pace() const {
    const auto now = kernel::read_ksm_settings(*tree_);
    return now && now->run == KsmRun::kRunning && now->pages_to_scan == kPages &&
           now->sleep_ms == kSleepMs;
  }

  static constexpr std::uint32_t kPages = 3333;
  static constexpr std::uint32_t kSleepMs = 7;
  std::string config_;
  pid_t governor_ = -1;
};

TEST_F(RealKilledKsm, WithNobodyAfterItDownPutsKsmBack) {
  begin();
  ASSERT_TRUE(at_pace());
  kill_it();
  EXPECT_TRUE(at_pace()) << "it is the kernel's by now";
  EXPECT_THAT(doctor(), HasSubstr("3333 pages each 7 ms"));
  const Ended dry = panal({"--config", config_, "down", "--dry-run"});
  EXPECT_THAT(dry.said, HasSubstr("would put KSM back"));
  EXPECT_TRUE(at_pace());
  const Ended ended = down();
  EXPECT_EQ(ended.code, 0) << ended.said;
  EXPECT_THAT(ended.said, HasSubstr("KSM is as it was before"));
  EXPECT_EQ(machine(), before_);
  const Ended again = down();
  EXPECT_EQ(again.code, 0) << again.said;
  EXPECT_THAT(again.said, Not(HasSubstr("KSM")));
}

TEST_F(RealKilledKsm, TheOneThatLivesIsLeftAloneByAnotherNodesDown) {
  begin();
  const Ended ended = down();
  EXPECT_EQ(ended.code, 0) << ended.said;
  EXPECT_TRUE(at_pace());
  kill_it();
  EXPECT_EQ(down().code, 0);
  EXPECT_EQ(machine(), before_);
}

TEST_F(RealKilledKsm, AProfileDoesNotTakeItsPaceForTheMachinesOwn) {
  begin();
  kill_it();
  const Ended applied = panal({"tune", "apply", "laptop-demo"});
  EXPECT_EQ(applied.code, 0) << applied.said;
  EXPECT_THAT(applied.said, HasSubstr("KSM is as it was before"));
  const Ended reverted = panal({"tune", "revert"});
  EXPECT_EQ(reverted.code, 0) << reverted.said;
  EXPECT_EQ(machine(), before_);
}

}  // namespace
}  // namespace panal::profile
