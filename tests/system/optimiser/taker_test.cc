// Each way to take memory back, on a real process and real swap in compressed memory.
#include "engine/kernel/smaps.h"
#include "runtime/optimiser/memory_taker.h"
#include "tests/system/optimiser/real_swap_group.h"

namespace panal::optimiser {
namespace {

using namespace std::chrono_literals;
using kernel::MemoryChild;
using kernel::Pages;

class RealTaker : public RealSwapGroup {
 protected:
  /// What it takes is what the group's charge says, and the process finds it again.
  void take_from(std::string_view name) const {
    const kernel::Cgroup group = make();
    Limits limits;
    limits.memory_bytes = 256 * kMib;
    ASSERT_TRUE(group.set_limits(limits));
    const MemoryChild child(group, kSize, Pages::kDistinct);
    const auto taker = make_taker(name, tree_);
    ASSERT_TRUE(taker);
    EXPECT_EQ(taker->name(), name);
    TakeCursor cursor;
    const auto taken =
        taker->take(group, {24 * kMib, std::chrono::steady_clock::now() + 10s}, cursor);
    ASSERT_TRUE(taken) << taken.error().message();
    EXPECT_GE(taken->yield_bytes(), 20 * kMib);
    EXPECT_LE(taken->yield_bytes(), 32 * kMib);
    const auto maps = kernel::read_smaps_rollup(tree_, child.pid());
    ASSERT_TRUE(maps);
    EXPECT_GE(maps->swap, 20 * kMib) << "and so do its page tables";
    EXPECT_EQ(group.statistics()->memory->limit_bytes, 256 * kMib);
    EXPECT_TRUE(child.touch());
    // One who returns is not made to wait.
    const std::atomic<bool> stop{true};
    const auto nothing =
        taker->take(group, {24 * kMib, std::chrono::steady_clock::now() + 10s, &stop}, cursor);
    ASSERT_TRUE(nothing) << nothing.error().message();
    EXPECT_EQ(nothing->asked_of_kernel_bytes, 0U);
  }
};

TEST_F(RealTaker, ByAdvice) { take_from("madvise"); }

TEST_F(RealTaker, ByTheLimitOfV1) {
  const kernel::CgroupMount* memory = root_.layout().with("memory");
  ASSERT_NE(memory, nullptr);
  if (memory->version != 1) GTEST_SKIP() << "nothing is missing: with v2 memory.reclaim does it";
  take_from("poke");
}

TEST_F(RealTaker, ByReclaimOfV2) {
  const kernel::CgroupMount* memory = root_.layout().with("memory");
  ASSERT_NE(memory, nullptr);
  if (memory->version != 2)
    GTEST_SKIP() << "nothing is missing: this kernel has v1 (tests/vm has v2)";
  take_from("reclaim");
}

TEST_F(RealTaker, NobodyElseIsKnown) { EXPECT_FALSE(make_taker("magic", tree_)); }

}  // namespace
}  // namespace panal::optimiser
