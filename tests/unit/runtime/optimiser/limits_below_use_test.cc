// A hard limit below what is in use: v1 refuses it, v2 takes memory for it and then kills. Between
// the count that a limit is reckoned from and the write of it the charge moves.
#include <gtest/gtest.h>

#include <memory>

#include "engine/kernel/parent_limit.h"
#include "engine/policy/units.h"
#include "runtime/optimiser/class_limits.h"
#include "runtime/optimiser/fences.h"
#include "tests/unit/engine/kernel/fixture_tree.h"

namespace panal::optimiser {
namespace {

using policy::kMib;

kernel::FixtureFiles machine(int version) {
  if (version == 2)
    return {{"proc/self/mountinfo", "31 1 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"},
            {"cgroup/cgroup.controllers", "memory\n"},
            {"cgroup/panal/d7/memory.current", "0\n"},
            {"cgroup/panal/d7/memory.reclaim", ""},
            {"cgroup/panal/d7/memory.max", "max\n"}};
  return {{"proc/self/mountinfo",
           "31 1 0:29 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
           "32 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"},
          {"proc/cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t1\t1\t1\n"},
          {"cgroup/memory/panal/d7/memory.usage_in_bytes", "0\n"},
          {"cgroup/memory/panal/d7/memory.limit_in_bytes", "-1\n"}};
}

class BelowUse : public ::testing::TestWithParam<int> {
 protected:
  /// All limits here have as many digits: of plain files the rest of a longer text stays.
  static constexpr std::uint64_t kOwnMib = 900;
  static constexpr std::uint64_t kShareMib = 500;

  BelowUse()
      : files_(machine(GetParam())),
        tree_(files_.tree()),
        group_(std::make_shared<const kernel::Cgroup>(
            std::move(*kernel::Cgroup::open(*kernel::CgroupRoot::open(tree_), "panal/d7")))) {
    files_.write(path("memory.max", "memory.limit_in_bytes"), std::to_string(kOwnMib * kMib));
  }
  bool v2() const { return GetParam() == 2; }
  std::string path(const char* two, const char* one) const {
    return v2() ? std::string("cgroup/panal/d7/") + two
                : std::string("cgroup/memory/panal/d7/") + one;
  }
  void uses(std::uint64_t mib) const {
    files_.write(path("memory.current", "memory.usage_in_bytes"), std::to_string(mib * kMib));
  }
  std::uint64_t limit_mib() const { return group_->memory_limit().value_or(0) / kMib; }
  /// The last resort looks: so much it had when it was counted, and so much was left to all.
  void look(std::uint64_t counted_mib, std::uint64_t left_mib) {
    const policy::Headroom room{left_mib * kMib, 100 * kMib, left_mib * kMib};
    now_ += policy::kSecond / 10;
    RescueDesk desk;
    desk.id = 7;
    desk.group = group_;
    fences_.update({desk}, {FenceCharge{counted_mib * kMib, 0}}, room, kShareMib * kMib, now_);
  }

  kernel::FixtureTree files_;
  Tree tree_;
  std::shared_ptr<const kernel::Cgroup> group_;
  Fences fences_;
  MonotonicNs now_ = policy::kSecond;
};

TEST_P(BelowUse, AFenceAboveItIsSetAsItWasReckoned) {
  uses(100);
  look(100, 40);
  EXPECT_EQ(limit_mib(), 116U);
  EXPECT_TRUE(fences_.fenced(7));
  fences_.lift();
  EXPECT_EQ(limit_mib(), kOwnMib);
}

TEST_P(BelowUse, AFenceThatItHasNearlyReachedMeanwhileKillsNobody) {
  uses(112);
  look(100, 40);
  EXPECT_EQ(limit_mib(), v2() ? 120U : 116U);
  EXPECT_TRUE(fences_.fenced(7));
}

TEST_P(BelowUse, AFenceThatItHasOutgrownMeanwhileIsNotSet) {
  uses(130);
  look(100, 40);
  EXPECT_EQ(limit_mib(), v2() ? 138U : kOwnMib);
  fences_.lift();
  EXPECT_EQ(limit_mib(), kOwnMib);
}

TEST_P(BelowUse, AFenceThatStandsIsNotMovedUpForWhoGrowsIntoTheMargin) {
  uses(501);
  look(501, 0);  // above an equal share, and nothing is left: not a page more
  EXPECT_EQ(limit_mib(), v2() ? 509U : kOwnMib);
  uses(506);
  look(506, 0);
  EXPECT_EQ(limit_mib(), v2() ? 509U : kOwnMib);
  EXPECT_EQ(fences_.fenced(7), v2());
}

TEST_P(BelowUse, AFenceGoesUpWhereThereIsRoomAgain) {
  uses(130);
  look(130, 40);
  EXPECT_EQ(limit_mib(), 146U);
  now_ += 10 * policy::kSecond;
  EXPECT_EQ(fences_.raised(), 1U);
  look(130, 2000);
  EXPECT_EQ(limit_mib(), kOwnMib);
  EXPECT_FALSE(fences_.fenced(7));
}

TEST_P(BelowUse, AFenceThatMovesIsCountedOnceAndOneThatComesBackAgain) {
  EXPECT_EQ(fences_.raised(), 0U);
  uses(130);
  look(130, 40);
  look(130, 20);
  now_ += 10 * policy::kSecond;
  look(130, 200);
  EXPECT_TRUE(fences_.fenced(7));
  EXPECT_EQ(fences_.raised(), 1U);
  fences_.lift();
  look(130, 40);
  EXPECT_TRUE(fences_.fenced(7));
  EXPECT_EQ(fences_.raised(), 2U);
}

TEST_P(BelowUse, AClassesLimitFollowsItDown) {
  Limits limits;
  limits.memory_bytes = 200 * kMib;
  uses(320);
  auto set = set_class_limits(*group_, limits);
  ASSERT_TRUE(set) << set.error().message();
  EXPECT_FALSE(set->complete);
  EXPECT_EQ(set->refused, "");
  EXPECT_EQ(limit_mib(), 340U);
  uses(335);
  set = set_class_limits(*group_, limits);
  ASSERT_TRUE(set && !set->complete);
  EXPECT_EQ(limit_mib(), 340U) << "never up again on its way down";
  uses(150);
  set = set_class_limits(*group_, limits);
  ASSERT_TRUE(set && set->complete) << set->why;
  EXPECT_EQ(limit_mib(), 200U);
  uses(190);  // as it may
  set = set_class_limits(*group_, limits);
  ASSERT_TRUE(set && set->complete) << set->why;
  EXPECT_EQ(limit_mib(), 200U);
}

TEST_P(BelowUse, TheLimitOfAllFollowsItDownOnV2AndIsWrittenOnV1) {
  kernel::ParentLimit all(
      tree_, std::move(*kernel::Cgroup::open(*kernel::CgroupRoot::open(tree_), "panal/d7")),
      1024 * kMib, 500 * kMib);
  uses(600);
  if (!v2()) {
    EXPECT_EQ(all.update().value_or(0), 500 * kMib) << "whether it holds is the kernel's to say";
    EXPECT_EQ(limit_mib(), 500U);
    return;
  }
  EXPECT_EQ(all.update().value_or(0), 608 * kMib);
  EXPECT_EQ(limit_mib(), 608U);
  EXPECT_EQ(files_.read("cgroup/panal/d7/memory.reclaim"), std::to_string(16 * kMib));
  uses(585);
  EXPECT_EQ(all.update().value_or(0), 593 * kMib);
  uses(400);
  EXPECT_EQ(all.update().value_or(0), 500 * kMib);
  EXPECT_EQ(limit_mib(), 500U);
}

INSTANTIATE_TEST_SUITE_P(Cgroup, BelowUse, ::testing::Values(1, 2),
                         [](const auto& one) { return "V" + std::to_string(one.param); });

}  // namespace
}  // namespace panal::optimiser
