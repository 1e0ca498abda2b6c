// panald is killed in the middle of each thing it does to a desktop. What it leaves harms nobody
// until the next one comes, and that one takes it back. Limits of classes are in
// killed_limits_test.cc. The steps that change the machine and not a desktop have theirs elsewhere:
// KSM in optimiser_test.cc and tests/system/tuning, zram and sysctls there.
#include "engine/kernel/meminfo.h"
#include "engine/kernel/smaps.h"
#include "tests/system/optimiser/real_killed.h"

namespace panal::optimiser {
namespace {

using namespace std::chrono_literals;
using kernel::MemoryChild;
using kernel::Pages;

TEST_F(RealKilled, WhileADesktopIsFrozenTheNextOneThawsIt) {
  const kernel::Cgroup group = desk();
  Settings settings;
  settings.shaver.freeze_after_ns = 1'000'000'000;
  begin(settings);
  ASSERT_TRUE(eventually([&] { return frozen(); }, 60s));
  kill_it();
  EXPECT_TRUE(frozen()) << "it is the kernel's by now";
  go_on();
  EXPECT_TRUE(counts());
  EXPECT_FALSE(frozen());
  expect_unharmed(group);
}

TEST_F(RealKilled, InTheMiddleOfAShaveNothingIsLost) {
  const kernel::Cgroup group = desk();
  const MemoryChild child(group, kSize, Pages::kDistinct);
  const auto resident = [&] {
    const auto maps = kernel::read_smaps_rollup(tree_, child.pid());
    return maps ? maps->anon : 0;
  };
  Settings settings;
  settings.shave = true;
  settings.shaver.eagerness = 1;
  begin(settings);
  ASSERT_TRUE(eventually([&] { return resident() < kSize - 4 * kMib; }, 60s));
  kill_it();
  EXPECT_TRUE(counts());
  EXPECT_TRUE(child.touch()) << "what was taken comes back without anybody's help";
  EXPECT_GE(resident(), kSize);
  expect_unharmed(group);
  go_on();
  EXPECT_TRUE(child.touch());
  expect_unharmed(group);
}

TEST_F(RealKilled, WhileDesktopsAreFencedTheNextOneTakesTheFencesDown) {
  const kernel::Cgroup group = desk();
  const auto neighbour = kernel::Cgroup::create(root_, parent_path() + "/" + kernel_name(8));
  ASSERT_TRUE(neighbour) << neighbour.error().message();
  const MemoryChild child(group, kSize, Pages::kDistinct);
  const MemoryChild beside(*neighbour, 2 * kSize, Pages::kDistinct);
  limit_all(256 * kMib);  // of which half is left: less than the desktop may have
  begin({}, kOwn);
  const auto fenced = [&] {
    const auto now = group.memory_limit();
    return now && *now < kOwn;
  };
  ASSERT_TRUE(eventually(fenced, 60s));
  kill_it();
  EXPECT_TRUE(fenced()) << "it is the kernel's by now";
  EXPECT_TRUE(child.touch()) << "a fence leaves everybody what he has, and some MiB";
  EXPECT_EQ(group.statistics()->memory->oom_kills, 0U);
  limit_all(2048 * kMib);  // the danger is over, and nobody saw it
  go_on();
  expect_unharmed(group);
  const MemoryChild more(group, 4 * kSize, Pages::kDistinct);
  EXPECT_TRUE(more.touch()) << "up to its own limit";
  expect_unharmed(group);
}

TEST_F(RealKilled, WhileAFenceStandsAndMemoryIsStillShortTheNextOneHoldsItAgain) {
  const kernel::Cgroup group = desk();
  const MemoryChild child(group, kSize, Pages::kDistinct);
  limit_all(256 * kMib);
  begin({}, kOwn);
  const auto fenced = [&] {
    const auto now = group.memory_limit();
    return now && *now < kOwn;
  };
  ASSERT_TRUE(eventually(fenced, 60s));
  kill_it();
  Hands next = take_over(Settings{}, kOwn);
  ASSERT_TRUE(next.rescuer);
  EXPECT_TRUE(eventually(fenced, 10s));
  next.rescuer.reset();
  expect_unharmed(group);  // its own limit is not mistaken for the fence that was found
  EXPECT_TRUE(child.touch());
}

TEST_F(RealKilled, WhileTheLastResortHasItFrozenTheNextOneThawsIt) {
  const kernel::Cgroup group = desk();
  const auto host = kernel::read_meminfo(tree_);
  ASSERT_TRUE(host) << host.error().message();
  // A fifth of the reserve is gone: nobody is killed for that, and who is away stands.
  begin({}, 0, host->available / 4 * 5);
  ASSERT_TRUE(eventually([&] { return frozen(); }, 60s));
  kill_it();
  EXPECT_TRUE(frozen()) << "it is the kernel's by now";
  go_on();  // nothing is short any more, and nobody says so
  EXPECT_FALSE(frozen());
  EXPECT_TRUE(counts());
  expect_unharmed(group);
}

}  // namespace
}  // namespace panal::optimiser
