// Each way to take memory back, on a real process and real swap in compressed memory.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <vector>

#include "engine/kernel/group_processes.h"
#include "engine/kernel/smaps.h"
#include "engine/kernel/swaps.h"
#include "runtime/optimiser/hot_memory.h"
#include "runtime/optimiser/memory_fetcher.h"
#include "runtime/optimiser/memory_taker.h"
#include "runtime/optimiser/swap_cache.h"
#include "tests/support/patience.h"
#include "tests/system/optimiser/mapping_child.h"
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
    const auto taken = taker->take(
        group, {24 * kMib, std::chrono::steady_clock::now() + 10s * patience()}, cursor);
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

TEST_F(RealTaker, WhoSetsALimitWhileTheGroupIsPokedSetsTheOneThatStands) {
  const kernel::CgroupMount* memory = root_.layout().with("memory");
  ASSERT_NE(memory, nullptr);
  if (memory->version != 1) GTEST_SKIP() << "nothing is missing: with v2 no limit is lowered";
  const kernel::Cgroup group = make();
  Limits limits;
  limits.memory_bytes = 200 * kMib;
  ASSERT_TRUE(group.set_limits(limits));
  const MemoryChild child(group, kSize, Pages::kDistinct);
  std::atomic<bool> over{false};
  std::thread poker([&group, &over] {
    while (!over) (void)group.reclaim(1 * kMib);
  });
  std::set<std::uint64_t> seen;
  for (std::uint64_t mib = 200; mib < 300; ++mib) {
    limits.memory_bytes = mib * kMib;
    EXPECT_TRUE(group.set_limits(limits));
    for (int i = 0; i < 20; ++i)
      if (const auto now = group.memory_limit()) seen.insert(*now == mib * kMib ? 0 : *now);
  }
  over = true;
  poker.join();
  EXPECT_EQ(seen, std::set<std::uint64_t>{0}) << "nobody sees the lowered one";
  const auto other = kernel::Cgroup::open(root_, group.path());
  ASSERT_TRUE(other);
  EXPECT_EQ(other->memory_limit().value_or(0), 299 * kMib) << "and it is in the kernel";
}

/// Before zram in the kernel's order.
class RealTakerToADisk : public RealTaker {
 protected:
  void SetUp() override {
    RealTaker::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    file_ = ::testing::TempDir() + "taker.swap";
    const UniqueFd fd(::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_TRUE(fd);
    ASSERT_EQ(::fallocate(fd.get(), 0, 0, 128 * kMib), 0);
    ASSERT_TRUE(kernel::make_swap(file_, 128 * kMib));
    const auto on = kernel::swap_on(file_, 32'000);
    ASSERT_TRUE(on) << on.error().message();
    on_ = true;
  }
  void TearDown() override {
    RealCgroup::TearDown();  // the processes first
    if (on_) {
      EXPECT_TRUE(kernel::swap_off(file_));
    }
    ::unlink(file_.c_str());
    RealTaker::TearDown();
  }
  std::string file_;
  bool on_ = false;
};

TEST_F(RealTakerToADisk, ByAdviceWhatIsOnItIsNoLongerInMemory) { take_from("madvise"); }

TEST_F(RealTakerToADisk, WhatWasFetchedAndNotTouchedGoesAgain) {
  const kernel::Cgroup group = make();
  const MemoryChild child(group, kSize, Pages::kDistinct);
  TakeCursor cursor;
  const auto deadline = std::chrono::steady_clock::now() + 20s * patience();
  ASSERT_TRUE(make_taker("madvise", tree_)->take(group, {kSize, deadline}, cursor));
  ASSERT_LT(group.statistics()->memory->swap_cached_bytes, kSize / 4);
  const auto hot = fetch_back(tree_, group, FetchPart::kRest, {deadline});
  ASSERT_TRUE(hot) << hot.error().message();
  const auto cached = [&group] { return group.statistics()->memory->swap_cached_bytes; };
  while (cached() < kSize / 2 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(20ms);
  ASSERT_GE(cached(), kSize / 2);
  const auto dropped = drop_swap_cache(group, {UINT64_MAX, deadline});
  ASSERT_TRUE(dropped) << dropped.error().message();
  EXPECT_GE(*dropped, kSize / 2);
  EXPECT_LT(cached(), kSize / 4);
  EXPECT_TRUE(child.touch()) << "it is on the device";
  const std::atomic<bool> stop{true};
  EXPECT_EQ(drop_swap_cache(group, {UINT64_MAX, deadline, &stop}).value_or(1), 0U);
}

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

/// 130,000 mappings, and a process as others are beside them.
class RealTakerOfManyMappings : public RealTaker {
 protected:
  static constexpr auto kBudget = 50ms;
  /// What a machine may add that has other work; going through it all takes a second and more.
  const std::chrono::milliseconds soon_ = 900ms * patience();

  void SetUp() override {
    RealTaker::SetUp();
    if (HasFatalFailure()) return;
    group_.emplace(make());
    first_.emplace(*group_);
    second_.emplace(*group_);
    normal_.emplace(*group_, kSize, Pages::kDistinct);
  }
  void TearDown() override {
    normal_.reset();
    second_.reset();
    first_.reset();
    RealTaker::TearDown();
  }
  /// Runs `work`, which has that budget, some times; the median of how long it took. One run may
  /// meet anything that the machine does beside it.
  template <typename Work>
  static std::chrono::milliseconds median(int rounds, Work work) {
    std::vector<std::chrono::milliseconds> took;
    for (int round = 0; round < rounds; ++round) {
      const auto begun = std::chrono::steady_clock::now();
      work(begun + kBudget);
      took.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(
          std::chrono::steady_clock::now() - begun));
    }
    std::sort(took.begin(), took.end());
    return took[took.size() / 2];
  }

  std::optional<kernel::Cgroup> group_;
  std::optional<MappingChild> first_, second_;
  std::optional<MemoryChild> normal_;
};

TEST_F(RealTakerOfManyMappings, AProcessOfAHundredThousandMappingsCostsItsBudgetAndNoMore) {
  const auto taker = make_taker("madvise", tree_);
  TakeCursor cursor;
  std::set<pid_t> places;
  const auto swapped = [this] {
    const auto maps = kernel::read_smaps_rollup(tree_, normal_->pid());
    return maps ? maps->swap : 0;
  };
  // A process that a walk does not get to the end of is left where the next walk gets no further.
  const auto end = std::chrono::steady_clock::now() + 60s * patience();
  while (swapped() < kSize * 3 / 4 && std::chrono::steady_clock::now() < end) {
    const auto took = median(3, [&](std::chrono::steady_clock::time_point deadline) {
      const auto taken = taker->take(*group_, {2 * kSize, deadline}, cursor);
      ASSERT_TRUE(taken) << taken.error().message();
      places.insert(cursor.pid);
    });
    ASSERT_LT(took, soon_);
  }
  EXPECT_GE(swapped(), kSize * 3 / 4) << "the others of the desktop have their turn";
  EXPECT_GE(places.size(), 2U) << "the walk goes on where it stopped";
  EXPECT_TRUE(normal_->touch());
}

TEST_F(RealTakerOfManyMappings, NeitherDoesALookAtWhatIsHotNorFetchingItBack) {
  EXPECT_LT(median(5,
                   [&](std::chrono::steady_clock::time_point deadline) {
                     const auto hot = record_hot(tree_, *group_, {deadline});
                     ASSERT_TRUE(hot) << hot.error().message();
                     EXPECT_FALSE(hot->complete);
                     EXPECT_FALSE(hot->tells());
                     EXPECT_LE(hot->hot.ranges(), kMostHotRanges);
                   }),
            soon_);
  EXPECT_LT(median(5,
                   [&](std::chrono::steady_clock::time_point deadline) {
                     const auto back = fetch_back(tree_, *group_, FetchPart::kRest, {deadline});
                     EXPECT_TRUE(back) << back.error().message();
                   }),
            soon_);
  // With all the time there is the text that is read of a process has an end.
  const auto hot =
      record_hot(tree_, *group_, {std::chrono::steady_clock::now() + 60s * patience()});
  ASSERT_TRUE(hot) << hot.error().message();
  EXPECT_FALSE(hot->complete);
  EXPECT_LE(hot->hot.ranges(), kMostHotRanges);
  EXPECT_TRUE(std::any_of(hot->hot.processes.begin(), hot->hot.processes.end(),
                          [this](const HotProcess& one) { return one.pid == normal_->pid(); }));
}

TEST_F(RealTakerOfManyMappings, NorAddingUpItsProcesses) {
  const std::vector<pid_t> pids = {first_->pid(), second_->pid(), normal_->pid()};
  std::uint64_t rss = 0;
  std::size_t next = 0;
  int rounds = 0;
  while (next < pids.size()) {
    ASSERT_LT(rounds++, 50);
    const auto begun = std::chrono::steady_clock::now();
    const auto read = kernel::read_group_processes(tree_, pids, {begun + 1ms, next});
    ASSERT_TRUE(read) << read.error().message();
    // The deadline is looked at between processes, so one is the price.
    EXPECT_LE(read->next, next + 2);
    EXPECT_LT(std::chrono::steady_clock::now() - begun, soon_);
    rss += read->sum.maps.rss;
    next = read->next;
  }
  EXPECT_GE(rss, 2 * MappingChild::kMappings * 4096 + kSize);
}

TEST_F(RealTaker, NobodyElseIsKnown) { EXPECT_FALSE(make_taker("magic", tree_)); }

}  // namespace
}  // namespace panal::optimiser
