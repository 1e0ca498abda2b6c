// The governor's cap on ksmd's CPU time, on the real ksmd: all its memory is new, is worth a burst
// by the governor's reckoning, and nothing of it merges, which is the dearest that ksmd can do.
#include <nlohmann/json.hpp>

#include "engine/kernel/ksm.h"
#include "runtime/optimiser/ksmd.h"
#include "runtime/optimiser/optimiser.h"
#include "tests/support/patience.h"
#include "tests/system/kernel/machine/memory_child.h"
#include "tests/system/kernel/real_cgroup.h"

namespace panal::optimiser {
namespace {

using namespace std::chrono_literals;
using kernel::MemoryChild;
using kernel::Pages;
using Clock = std::chrono::steady_clock;

/// Three passes at the cap take longer than it is looked at.
constexpr std::size_t kSize = std::size_t{400} << 20;
constexpr double kCapCores = 0.05;
constexpr auto kLookFor = 20s;
/// It is an order of magnitude that is asked: for a second the governor does not know yet what a
/// page costs on this machine.
constexpr double kTolerance = 1.5;

class RealKsmCap : public kernel::RealCgroup {
 protected:
  void SetUp() override {
    RealCgroup::SetUp();
    if (HasFatalFailure()) return;
    saved_ = ::testing::TempDir() + "panal-ksm-former";
    ::unlink(saved_.c_str());
  }
  void TearDown() override {
    optimiser_.reset();
    RealCgroup::TearDown();
  }
  std::string phase() const { return optimiser_->report()["ksm"].value("phase", std::string()); }

  std::string saved_;
  std::unique_ptr<Optimiser> optimiser_;
};

TEST_F(RealKsmCap, HoldsWhileABurstFindsNothing) {
  if (!tree_.sys.exists("kernel/mm/ksm/pages_scanned"))
    GTEST_SKIP() << "nothing is missing: a kernel before 6.4 cannot enlist a desktop";
  const auto ksmd = find_ksmd(tree_);
  if (!ksmd) GTEST_SKIP() << "ksmd's CPU time cannot be seen here: run it in scripts/lab";
  const auto former = kernel::read_ksm_settings(tree_);
  ASSERT_TRUE(former) << former.error().message();
  const kernel::Cgroup group = make();
  const MemoryChild child(group, kSize, Pages::kDistinctEnlisted);
  Settings settings;
  settings.enlist = Enlist::kAll;
  settings.ksm.cap_cores = kCapCores;
  auto opened = Optimiser::open({tree_, root_, parent_path(), saved_, Logger::silent()}, settings);
  ASSERT_TRUE(opened) << opened.error().message();
  optimiser_ = std::move(*opened);
  optimiser_->started(7, {"school", "standard"}, true);

  // What has just started is let settle for 10 s first.
  const auto until = Clock::now() + 60s * patience();
  while (phase() != "burst" && Clock::now() < until) std::this_thread::sleep_for(20ms);
  ASSERT_EQ(phase(), "burst") << optimiser_->report().dump(1);
  const auto begun = Clock::now();
  const auto before = ksmd->cpu_ns();
  ASSERT_TRUE(before) << before.error().message();
  std::this_thread::sleep_for(kLookFor);
  const auto after = ksmd->cpu_ns();
  ASSERT_TRUE(after) << after.error().message();
  const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  const double cores = static_cast<double>(*after - *before) / 1e9 / seconds;
  std::printf("  ksmd took %.3f of a core over %.0f s, of %.3f\n", cores, seconds, kCapCores);
  EXPECT_LT(cores, kTolerance * kCapCores) << optimiser_->report().dump(1);
  EXPECT_GT(cores, kCapCores / 5) << "it was at work";
  EXPECT_TRUE(child.touch());

  optimiser_.reset();
  EXPECT_EQ(kernel::read_ksm_settings(tree_).value(), *former);
}

}  // namespace
}  // namespace panal::optimiser
