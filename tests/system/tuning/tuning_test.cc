// Real sysctls, KSM, huge pages and zram: applied, verified, killed in the middle, reverted.
#include <gmock/gmock.h>
#include <signal.h>

#include <chrono>
#include <thread>

#include "engine/kernel/swaps.h"
#include "engine/kernel/zram_swap.h"
#include "engine/kernel/zram_writeback.h"
#include "engine/profile/apply.h"
#include "engine/profile/swap_steps.h"
#include "runtime/tuning/profiles.h"
#include "tests/system/tuning/tuned_lab.h"

namespace panal::profile {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

/// All of dense, with a zram that a test can take down in a moment.
constexpr const char* kProfile = R"(
name = "trial"
based_on = "dense"
description = "dense with a small zram of another algorithm"
[zswap]
enabled = false
[zram]
size_percent = 2
mem_limit_percent = 1
algorithm = "lz4"
)";

class RealTuning : public TunedLab {
 protected:
  void SetUp() override {
    TunedLab::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    file_ = ::testing::TempDir() + "trial.toml";
    std::ofstream(file_) << kProfile;
  }

  /// Applies in a child that dies at the given thing that lasts. False: it got through before.
  bool apply_and_die(int kill_at) const {
    const pid_t child = ::fork();
    if (child == 0) {
      ZramStep zram(*tree_, state_dir_ + "/zram");
      int reached = 0;
      const Machine machine{*tree_, state_dir_, &zram, true, [&](std::string_view) {
                              if (reached++ == kill_at) ::kill(::getpid(), SIGKILL);
                            }};
      const auto lock = MachineLock::take(kMachineLockFile);
      config::Config config;
      config.profiles_dir = PANAL_SOURCE_DIR "/engine/profile";
      const auto profile = tuning::load_profile(config, file_);
      const auto host = tuning::read_host_facts(*tree_, state_dir_);
      if (!lock || !profile || !host) ::_exit(1);
      const auto plan = make_plan(*profile, profile->desktops, *host, machine, std::nullopt);
      if (!plan || !apply(*plan, std::nullopt, machine, *lock)) ::_exit(2);
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << WEXITSTATUS(status);
    return WIFSIGNALED(status);
  }

  /// Sets zram up in children that die sooner or later, and takes down what each left.
  void kill_in_the_step() {
    const std::string wanted = "algorithm=lz4 size=67108864 limit=33554432 priority=7";
    fs::create_directories(state_dir_);
    int killed = 0;
    for (int i = 0; i < 24; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        ZramStep step(*tree_, state_dir_ + "/zram");
        ::_exit(step.bring("zram", wanted) ? 0 : 1);
      }
      std::this_thread::sleep_for(std::chrono::microseconds(i * 400));
      ::kill(child, SIGKILL);
      int status = 0;
      ::waitpid(child, &status, 0);
      killed += WIFSIGNALED(status) ? 1 : 0;
      ZramStep step(*tree_, state_dir_ + "/zram");
      const auto state = step.state("zram");
      ASSERT_TRUE(state) << state.error().message();
      const auto off = step.bring("zram", "off");
      ASSERT_TRUE(off) << *state << ": " << off.error().message();
      ASSERT_EQ(machine(), before_) << "killed after " << i * 400 << " us as " << *state;
    }
    EXPECT_GT(killed, 0);
  }

  std::string file_;
};

TEST_F(RealTuning, IsAppliedVerifiedFoundDriftedAndReverted) {
  const Ended plan = panal({"tune", "plan", file_});
  EXPECT_EQ(plan.code, 0) << plan.said;
  EXPECT_THAT(plan.said, HasSubstr("vm.swappiness"));
  EXPECT_EQ(machine(), before_) << "a plan writes nothing";

  const Ended applied = panal({"tune", "apply", file_});
  ASSERT_EQ(applied.code, 0) << applied.said;
  EXPECT_THAT(applied.said, HasSubstr("profile trial is applied"));
  auto now = machine();
  EXPECT_EQ(now["/proc/sys/vm/swappiness"], "150\n");
  EXPECT_EQ(now["/sys/kernel/mm/ksm/run"], "1\n");
  EXPECT_EQ(now["/proc/sys/fs/inotify/max_user_instances"], "9024\n");
  EXPECT_THAT(now["/sys/kernel/mm/transparent_hugepage/enabled"], HasSubstr("[never]"));
  const auto swaps = kernel::read_swaps(*tree_);
  ASSERT_TRUE(swaps);
  EXPECT_EQ(std::count_if(swaps->begin(), swaps->end(),
                          [](const SwapDevice& swap) {
                            return swap.path.find("zram") != std::string::npos &&
                                   swap.priority == 100;
                          }),
            1);
  const Ended good = panal({"tune", "verify"});
  EXPECT_EQ(good.code, 0) << good.said;

  std::ofstream("/proc/sys/vm/swappiness") << "42";
  const Ended drifted = panal({"tune", "verify"});
  EXPECT_EQ(drifted.code, 1);
  EXPECT_THAT(drifted.said, HasSubstr("vm.swappiness is 42, not 150"));
  EXPECT_THAT(drifted.said, HasSubstr("1 of "));

  // Another profile in its place, and again this one.
  const Ended strict = panal({"tune", "apply", "strict"});
  EXPECT_EQ(strict.code, 0) << strict.said;
  EXPECT_EQ(machine()["/sys/kernel/mm/ksm/run"], "2\n");
  EXPECT_EQ(machine()["/proc/sys/vm/swappiness"], before_["/proc/sys/vm/swappiness"]);
  const Ended again = panal({"tune", "apply", file_});
  EXPECT_EQ(again.code, 0) << again.said;

  const Ended reverted = panal({"tune", "revert"});
  EXPECT_EQ(reverted.code, 0) << reverted.said;
  EXPECT_EQ(machine(), before_);
  EXPECT_EQ(panal({"tune", "revert"}).code, 5) << "nothing is applied";
}

TEST_F(RealTuning, KilledAtAnyPlaceARevertBringsEverythingBack) {
  int kill_at = 0;
  for (; apply_and_die(kill_at); ++kill_at) {
    ASSERT_LT(kill_at, 200);
    if (fs::exists(state_dir_ + "/applied.json")) {
      const Ended half = panal({"tune", "verify"});
      EXPECT_EQ(half.code, 1) << half.said;
      EXPECT_THAT(half.said, HasSubstr("stopped in the middle"));
      const Ended reverted = panal({"tune", "revert"});
      ASSERT_EQ(reverted.code, 0) << reverted.said;
    }
    ASSERT_EQ(machine(), before_) << "killed at " << kill_at;
  }
  EXPECT_GT(kill_at, 15) << "all settings were passed";
  EXPECT_EQ(panal({"tune", "revert"}).code, 0);
  EXPECT_EQ(machine(), before_);
}

TEST_F(RealTuning, KilledWithinTheStepThatMakesZramItIsTakenDown) { kill_in_the_step(); }

TEST_F(RealTuning, KilledWithinTheStepThatAddsADeviceItIsTakenDown) {
  // Others hold something in the ones there are: a further one must be made, and removed.
  std::vector<unsigned> taken;
  for (const auto& entry : fs::directory_iterator("/sys/block")) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("zram")) continue;
    taken.push_back(static_cast<unsigned>(std::stoul(name.substr(4))));
    std::ofstream(entry.path() / "disksize") << "1048576";
  }
  const auto quiet = before_;
  before_ = machine();
  kill_in_the_step();
  for (const unsigned device : taken) EXPECT_TRUE(kernel::stop_zram_swap(*tree_, device));
  EXPECT_EQ(machine(), quiet);
}

TEST_F(RealTuning, ZramWritesBackToAFileThatIsGivenBack) {
  if (!kernel::zram_writes_back(*tree_))
    GTEST_SKIP() << "nothing is missing here: this kernel has no CONFIG_ZRAM_WRITEBACK (or no zram "
                    "device yet); tests/vm has Debian's, which can";
  const std::string place = ::testing::TempDir() + "panal.swap";
  {
    std::ofstream file(place);
    fs::resize_file(place, 64 << 20);
  }
  fs::permissions(place, fs::perms::owner_read | fs::perms::owner_write);
  std::ofstream(file_) << kProfile << "writeback = \"" << place << "\"\n";
  const Ended applied = panal({"tune", "apply", file_});
  ASSERT_EQ(applied.code, 0) << applied.said;
  const Ended good = panal({"tune", "verify"});
  EXPECT_EQ(good.code, 0) << good.said;
  ZramStep step(*tree_, state_dir_ + "/zram");
  EXPECT_THAT(step.state("zram").value_or("none"), HasSubstr("writeback="));
  const auto zram = std::find_if(fs::directory_iterator("/sys/block"), fs::directory_iterator(),
                                 [](const fs::directory_entry& entry) {
                                   std::ifstream backing(entry.path() / "backing_dev");
                                   std::string text;
                                   return std::getline(backing, text) && text != "none";
                                 });
  ASSERT_NE(zram, fs::directory_iterator());
  const auto dir = Dir::open(zram->path());
  ASSERT_TRUE(dir);
  EXPECT_TRUE(kernel::mark_zram_idle(*dir));
  const auto written = kernel::write_back_zram(*dir, kernel::ZramWriteback::kIdle, 1 << 20);
  ASSERT_TRUE(written) << written.error().message();
  EXPECT_LE(*written, std::uint64_t{1} << 20);
  const Ended reverted = panal({"tune", "revert"});
  EXPECT_EQ(reverted.code, 0) << reverted.said;
  EXPECT_EQ(machine(), before_);
  for (const auto& entry : fs::directory_iterator("/sys/block")) {
    std::ifstream behind(entry.path() / "loop/backing_file");
    std::string text;
    std::getline(behind, text);
    EXPECT_THAT(text, ::testing::Not(HasSubstr("panal.swap"))) << entry.path();
  }
}

TEST_F(RealTuning, ZswapIsSetAndPutBack) {
  const fs::path knobs = "/sys/module/zswap/parameters";
  if (!fs::exists(knobs)) GTEST_SKIP() << "nothing is missing here: this kernel has no zswap";
  const auto all = [&knobs] {
    std::map<std::string, std::string> texts;
    for (const auto& entry : fs::directory_iterator(knobs)) {
      std::ifstream in(entry.path());
      std::getline(in, texts[entry.path().filename()]);
    }
    return texts;
  };
  const auto before = all();
  std::ofstream(file_) << "name = \"trial\"\n[zswap]\nenabled = true\nmax_pool_percent = 17\n"
                          "accept_threshold_percent = 71\nshrinker_enabled = true\n";
  const Ended applied = panal({"tune", "apply", file_});
  ASSERT_EQ(applied.code, 0) << applied.said;
  auto now = all();
  EXPECT_EQ(now["enabled"], "Y");
  EXPECT_EQ(now["max_pool_percent"], "17");
  EXPECT_EQ(panal({"tune", "verify"}).code, 0);
  std::ofstream(knobs / "max_pool_percent") << "18";
  const Ended drifted = panal({"tune", "verify"});
  EXPECT_EQ(drifted.code, 1);
  EXPECT_THAT(drifted.said, HasSubstr("zswap.max_pool_percent is 18, not 17"));
  const Ended reverted = panal({"tune", "revert"});
  EXPECT_EQ(reverted.code, 0) << reverted.said;
  EXPECT_EQ(all(), before);
}

TEST_F(RealTuning, ASwapFileIsMadeSwappedToAndGone) {
  std::ofstream(file_) << "name = \"trial\"\n[zram]\nenabled = true\nsize_percent = 1\n[zswap]\n"
                          "enabled = true\nswap_percent = 30\n";
  const Ended plan = panal({"tune", "plan", file_});
  EXPECT_EQ(plan.code, 0) << plan.said;
  const Ended applied = panal({"tune", "apply", file_});
  ASSERT_EQ(applied.code, 0) << applied.said;
  const std::string file = state_dir_ + "/swap";
  // A machine whose disk turns, or is nearly full, has zram instead, and is told why.
  const bool zram_instead = plan.said.find("zram instead") != std::string::npos;
  EXPECT_EQ(fs::exists(file), !zram_instead) << plan.said;
  if (zram_instead) {
    EXPECT_THAT(plan.said, ::testing::AnyOf(HasSubstr(" turns, and"), HasSubstr("too little")));
  }
  if (!zram_instead) {
    EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
    EXPECT_EQ(machine().count(file), 1U) << "swapped to";
    EXPECT_EQ(::unlink(file.c_str()), -1) << "the kernel holds it";
  }
  const Ended good = panal({"tune", "verify"});
  EXPECT_EQ(good.code, 0) << good.said;
  EXPECT_EQ(panal({"tune", "apply", file_}).code, 0) << "again";
  const Ended reverted = panal({"tune", "revert"});
  EXPECT_EQ(reverted.code, 0) << reverted.said;
  EXPECT_FALSE(fs::exists(file));
  EXPECT_EQ(machine(), before_);
}

TEST_F(RealTuning, KilledWithinTheStepThatMakesASwapFileItIsRemoved) {
  SwapFileStep step(*tree_, state_dir_ + "/swap");
  const std::string wanted = "size=67108864 priority=7";
  int killed = 0;
  for (int i = 0; i < 24; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      SwapFileStep own(*tree_, state_dir_ + "/swap");
      ::_exit(own.bring(kSwapFileStep, wanted) ? 0 : 1);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(i * 200));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    killed += WIFSIGNALED(status) ? 1 : 0;
    const auto state = step.state(kSwapFileStep);
    ASSERT_TRUE(state) << state.error().message();
    EXPECT_TRUE(*state == "off" || *state == "half made" || *state == wanted) << *state;
    // What lies there hinders nobody.
    const auto on = step.bring(kSwapFileStep, wanted);
    ASSERT_TRUE(on) << *state << ": " << on.error().message();
    EXPECT_EQ(step.state(kSwapFileStep).value_or("none"), wanted);
    const auto off = step.bring(kSwapFileStep, "off");
    ASSERT_TRUE(off) << off.error().message();
    EXPECT_FALSE(fs::exists(state_dir_ + "/swap"));
    ASSERT_EQ(machine(), before_) << "killed after " << i * 200 << " us as " << *state;
  }
  EXPECT_GT(killed, 0);
}

TEST_F(RealTuning, ASwapFileThatCannotBeLeavesNothing) {
  SwapFileStep step(*tree_, state_dir_ + "/swap");
  const auto huge = step.bring(kSwapFileStep, "size=1152921504606846976 priority=7");
  ASSERT_FALSE(huge);
  EXPECT_THAT(huge.error().context, HasSubstr("make room of"));
  EXPECT_FALSE(fs::exists(state_dir_ + "/swap"));
  SwapFileStep nowhere(*tree_, "/dev/shm/panal/swap");
  const auto state = nowhere.state(kSwapFileStep);
  ASSERT_FALSE(state);
  EXPECT_TRUE(state.error().is_gone());
  EXPECT_THAT(state.error().context, HasSubstr("a swap file wants ext4 or xfs"));
}

TEST_F(RealTuning, AStepThatCannotBeDoneLeavesNoDevice) {
  fs::create_directories(state_dir_);
  ZramStep step(*tree_, state_dir_ + "/zram");
  const auto odd = step.bring("zram", "algorithm=rot13 size=67108864 limit=33554432 priority=7");
  ASSERT_FALSE(odd);
  EXPECT_EQ(machine(), before_);
  EXPECT_EQ(*step.state("zram"), "off");
}

}  // namespace
}  // namespace panal::profile
