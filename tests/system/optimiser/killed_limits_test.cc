// panald is killed while limits of a session's class are set: the next one may have another
// profile, in which no class speaks of them.
#include <charconv>

#include "tests/system/optimiser/real_killed.h"

namespace panal::optimiser {
namespace {

using namespace std::chrono_literals;
using kernel::MemoryChild;
using kernel::Pages;

class RealKilledLimits : public RealKilled {
 protected:
  /// What it is held to: memory.high, on v1 the soft limit.
  std::uint64_t soft() const {
    const std::string text = knob("memory", "memory.high", "memory.soft_limit_in_bytes");
    std::uint64_t bytes = kUnlimited;
    (void)std::from_chars(text.data(), text.data() + text.size(), bytes);
    return bytes;
  }
  std::string quota() const { return knob("cpu", "cpu.max", "cpu.cfs_quota_us"); }
  bool v2() const {
    const kernel::CgroupMount* memory = root_.layout().with("memory");
    return memory != nullptr && memory->version == 2;
  }
};

TEST_F(RealKilledLimits, WhileAClassesLimitFollowsADesktopDownTheNextOnePutsItsOwnBack) {
  const kernel::Cgroup group = desk();
  const MemoryChild child(group, kSize, Pages::kDistinct);
  Settings settings;
  settings.limits[SessionClass::kDisconnected].memory_bytes = 16 * kMib;
  begin(settings);
  ASSERT_TRUE(eventually(
      [&] {
        const auto now = group.memory_limit();
        return now && *now < kOwn;
      },
      60s));
  kill_it();
  EXPECT_TRUE(child.touch()) << "never below what it has";
  go_on();
  EXPECT_TRUE(child.touch());
  expect_unharmed(group);
}

TEST_F(RealKilledLimits, WhileAClassHoldsADesktopToASoftLimitTheNextOneLiftsIt) {
  const kernel::Cgroup group = desk();
  const MemoryChild child(group, kSize, Pages::kDistinct);
  Settings settings;
  settings.limits[SessionClass::kDisconnected].memory_soft_bytes = 24 * kMib;
  begin(settings);
  ASSERT_TRUE(eventually([&] { return soft() < kSize; }, 60s));
  kill_it();
  EXPECT_LT(soft(), kSize) << "it is the kernel's by now";
  EXPECT_TRUE(counts());
  EXPECT_TRUE(child.touch()) << "v2 makes it slow, and nobody is killed for it";
  go_on();
  EXPECT_GE(soft(), kUnlimited / 4) << "v1 says none with a large number";
  EXPECT_TRUE(child.touch());
  expect_unharmed(group);
}

TEST_F(RealKilledLimits, WhatAClassOfAnotherProfileHasSetDoesNotStay) {
  const kernel::Cgroup group = desk();
  const std::string weight = knob("cpu", "cpu.weight", "cpu.shares");
  const std::string swap = knob("memory", "memory.swap.max", "memory.swappiness");
  const std::string no_quota = quota();
  Settings settings;
  Limits& away = settings.limits[SessionClass::kDisconnected];
  away.cpu_quota_permille = 50;
  away.cpu_weight = 10;
  away.swapping = Swapping::kNever;
  away.pids = 30;
  away.io_weight = 10;
  begin(settings);
  const auto pids = [this] { return knob("pids", "pids.max", "pids.max"); };
  ASSERT_TRUE(eventually([&] { return quota() == "5000" && pids() == "30"; }, 60s));
  kill_it();
  EXPECT_EQ(quota(), "5000") << "it is the kernel's by now";
  EXPECT_TRUE(counts()) << "slowly";
  go_on();
  EXPECT_EQ(quota(), no_quota);
  EXPECT_EQ(no_quota, v2() ? "max" : "-1");
  EXPECT_EQ(pids(), std::to_string(kOwnPids)) << "as it was started with";
  EXPECT_EQ(knob("cpu", "cpu.weight", "cpu.shares"), weight);
  EXPECT_EQ(knob("memory", "memory.swap.max", "memory.swappiness"), swap);
  EXPECT_TRUE(counts());
  expect_unharmed(group);
}

}  // namespace
}  // namespace panal::optimiser
