// Ways to take memory back, tried on this kernel; and with a filter that hides one of them.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "engine/kernel/meminfo.h"
#include "runtime/optimiser/taker_choice.h"
#include "tests/system/optimiser/real_swap_group.h"

namespace panal::optimiser {
namespace {

using ::testing::HasSubstr;

class RealTrials : public RealSwapGroup {
 protected:
  [[nodiscard]] KernelTrials trials() const { return {tree_, root_, parent_path() + "/trial"}; }
  [[nodiscard]] int memory_version() const {
    const kernel::CgroupMount* memory = root_.layout().with("memory");
    return memory == nullptr ? 0 : memory->version;
  }
  void expect_no_trace() const {
    for (const auto& hierarchy : root_.hierarchies())
      EXPECT_FALSE(hierarchy.dir.exists(parent_path() + "/trial")) << hierarchy.dir.path();
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "no child is left";
  }
};

TEST_F(RealTrials, SeeWhatWorksHere) {
  KernelTrials all = trials();
  const TakerTrial advice = all.run("madvise");
  EXPECT_EQ(advice.outcome, TrialOutcome::kTakes) << advice.why;
  const TakerTrial poke = all.run("poke");
  const TakerTrial reclaim = all.run("reclaim");
  const bool first = memory_version() == 1;
  EXPECT_EQ((first ? poke : reclaim).outcome, TrialOutcome::kTakes) << (first ? poke : reclaim).why;
  EXPECT_EQ((first ? reclaim : poke).outcome, TrialOutcome::kRefused);
  EXPECT_THAT((first ? reclaim : poke).why, HasSubstr("the memory controller is not"));
  EXPECT_EQ(choose_way(all).chosen(), first ? "madvise" : "reclaim");
  EXPECT_EQ(all.run("magic").outcome, TrialOutcome::kRefused);
  expect_no_trace();
}

/// Answers process_madvise with an error in this process, as a container's filter does.
bool hide_process_madvise(int error) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_madvise, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{std::size(code), code};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST_F(RealTrials, AFilterThatHidesOneLetsTheNextHaveItsTurn) {
  for (const int error : {ENOSYS, EPERM, EINVAL}) {
    const pid_t child = ::fork();
    if (child == 0) {
      if (!hide_process_madvise(error)) ::_exit(2);
      KernelTrials all = trials();
      if (all.run("madvise").outcome != TrialOutcome::kRefused) ::_exit(3);
      const TakerChoice choice = choose_way(all);
      if (choice.chosen() != (memory_version() == 1 ? "poke" : "reclaim")) ::_exit(4);
      ::_exit(0);
    }
    EXPECT_EQ(WEXITSTATUS(status_of(child)), 0) << error;
  }
  expect_no_trace();
}

TEST_F(RealTrials, ATakerThatIsChosenSoTakes) {
  const kernel::Cgroup group = make();
  const kernel::MemoryChild child(group, kSize, kernel::Pages::kDistinct);
  ProbedTaker taker({tree_, std::make_shared<KernelTrials>(tree_, root_, parent_path() + "/trial"),
                     Logger::silent()});
  TakeCursor cursor;
  const auto taken = taker.take(
      group, {16 * kMib, std::chrono::steady_clock::now() + std::chrono::seconds(10)}, cursor);
  ASSERT_TRUE(taken) << taken.error().message();
  EXPECT_GE(taken->yield_bytes(), 12 * kMib) << taker.why();
  EXPECT_TRUE(child.touch());
}

class RealTrialsWithoutSwap : public kernel::RealCgroup {};

TEST_F(RealTrialsWithoutSwap, SayThatThereIsNone) {
  const auto memory = kernel::read_meminfo(tree_);
  ASSERT_TRUE(memory);
  if (memory->swap_free > 0) GTEST_SKIP() << "nothing is missing: this machine has swap of its own";
  KernelTrials trials(tree_, root_, parent_path() + "/trial");
  const TakerTrial advice = trials.run("madvise");
  EXPECT_EQ(advice.outcome, TrialOutcome::kNoSwap) << advice.why;
  EXPECT_TRUE(advice.good());
}

}  // namespace
}  // namespace panal::optimiser
