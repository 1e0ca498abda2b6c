// Cold memory, when memory gets short at once: who is away loses it, and not who is at work.
#include "runtime/optimiser/memory_cooler.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <string>
#include <vector>

#include "engine/kernel/smaps.h"
#include "tests/system/optimiser/real_swap_group.h"

namespace panal::optimiser {
namespace {

using namespace std::chrono_literals;
using kernel::MemoryChild;
using kernel::Pages;

constexpr const char* kHugePages = "kernel/mm/transparent_hugepage/enabled";

/// With small pages only, and with the kernel's own default, which Debian has.
class RealCooler : public RealSwapGroup, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    RealSwapGroup::SetUp();
    if (HasFatalFailure()) return;
    const auto words = tree_.sys.read(kHugePages);
    if (!words) GTEST_SKIP() << "nothing is missing here: this kernel has no huge pages";
    const std::size_t begin = words->find('[') + 1;
    former_ = words->substr(begin, words->find(']') - begin);
    ASSERT_TRUE(tree_.sys.write(kHugePages, GetParam()));
  }
  void TearDown() override {
    RealSwapGroup::TearDown();
    if (former_.empty()) return;
    EXPECT_TRUE(tree_.sys.write(kHugePages, former_));
  }
  kernel::Cgroup desktop(const std::string& name) const {
    auto made = kernel::Cgroup::create(root_, parent_path() + "/" + name);
    EXPECT_TRUE(made) << made.error().message();
    return std::move(*made);
  }
  std::uint64_t swapped(const MemoryChild& child) const {
    const auto maps = kernel::read_smaps_rollup(tree_, child.pid());
    return maps ? maps->swap : 0;
  }
  struct Lost {
    std::uint64_t active = 0, idle = 0;  ///< bytes
  };
  /// Both have lived as long, and one was touched last, as somebody at work touches some of what he
  /// has from time to time. Somebody else then takes, at once, 48 MiB more than all may have.
  Lost squeeze(bool cool) {
    auto parent = kernel::Cgroup::create(root_, parent_path());
    EXPECT_TRUE(parent);
    Limits limits;
    limits.memory_bytes = 2 * kSize + kRoom;
    EXPECT_TRUE(parent->set_limits(limits));
    const kernel::Cgroup at_work = desktop("d1"), away = desktop("d2"), newcomer = desktop("d3");
    const MemoryChild active(at_work, kSize, Pages::kDistinct);
    const MemoryChild idle(away, kSize, Pages::kDistinct);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(active.touch() && idle.touch());
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(active.touch());
    if (cool) {
      const auto cooled =
          cool_memory(tree_, away, {0, std::chrono::steady_clock::now() + 10s, nullptr});
      EXPECT_TRUE(cooled) << cooled.error().message();
      if (cooled) {
        EXPECT_TRUE(cooled->complete);
        EXPECT_GE(cooled->advised_bytes, kSize);
        cool_cpu_ns_ = cooled->cpu_ns;
      }
      EXPECT_EQ(swapped(idle), 0U) << "nothing leaves by it";
    }
    const MemoryChild third(newcomer, kRoom + kSize, Pages::kDistinct);
    return {swapped(active), swapped(idle)};
  }

  static constexpr std::uint64_t kRoom = 16 * kMib;
  std::uint64_t cool_cpu_ns_ = 0;

 private:
  std::string former_;
};

TEST_P(RealCooler, WhoIsAwayLosesMoreAndWhoIsAtWorkLess) {
  std::vector<double> with, without;
  for (int round = 0; round < 5; ++round) {
    for (const bool cool : {false, true}) {
      const Lost lost = squeeze(cool);
      const auto all = static_cast<double>(lost.active + lost.idle);
      std::printf("cold %d: active lost %5.1f MiB, idle %5.1f MiB, cpu %.2f ms\n", cool,
                  static_cast<double>(lost.active) / kMib, static_cast<double>(lost.idle) / kMib,
                  static_cast<double>(cool_cpu_ns_) / 1e6);
      (cool ? with : without).push_back(all > 0 ? static_cast<double>(lost.active) / all : 0);
    }
  }
  for (auto* each : {&with, &without}) std::sort(each->begin(), each->end());
  // Without it 6.1 takes as much of the one as of the other, and 6.18 most of it of who is at work;
  // on some runs the kernel chooses well by itself.
  constexpr double kHardly = 0.05;
  // In huge pages 6.18 takes as much with as without it; on 6.1 it went the wrong way once.
  const bool huge = std::string(GetParam()) == "always";
  EXPECT_LE(with[2], huge ? without[2] + kHardly : std::max(without[2] * 2 / 3, kHardly))
      << "the share of the loss that who is at work bears";
}

TEST_P(RealCooler, StopsForWhoReturns) {
  const kernel::Cgroup group = make();
  const MemoryChild child(group, kSize, Pages::kDistinct);
  const std::atomic<bool> stop{true};
  const auto cooled = cool_memory(tree_, group, {0, std::chrono::steady_clock::now() + 10s, &stop});
  ASSERT_TRUE(cooled) << cooled.error().message();
  EXPECT_FALSE(cooled->complete);
  EXPECT_EQ(cooled->advised_bytes, 0U);
}

INSTANTIATE_TEST_SUITE_P(HugePages, RealCooler, ::testing::Values("never", "always"),
                         [](const auto& pages) { return std::string(pages.param); });

}  // namespace
}  // namespace panal::optimiser
