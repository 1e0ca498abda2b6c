// Swap in compressed memory, and everything that puts a process's memory there.
#include <algorithm>

#include "engine/kernel/cgroup_stat.h"
#include "engine/kernel/meminfo.h"
#include "engine/kernel/page_map.h"
#include "engine/kernel/process_memory.h"
#include "engine/kernel/smaps.h"
#include "engine/kernel/swaps.h"
#include "engine/kernel/vmstat.h"
#include "engine/kernel/zram.h"
#include "engine/kernel/zram_swap.h"
#include "tests/system/kernel/machine/memory_child.h"
#include "tests/system/kernel/real_cgroup.h"

namespace panal::kernel {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMib = std::uint64_t{1} << 20;

/// With swap on a zram device of 512 MiB.
class RealSwap : public RealCgroup {
 protected:
  void SetUp() override {
    RealCgroup::SetUp();
    if (HasFatalFailure()) return;
    const auto device = find_free_zram(tree_);
    ASSERT_TRUE(device) << device.error().message();
    const auto started = start_zram_swap(
        tree_, *device,
        {.disk_bytes = 512 * kMib, .memory_limit_bytes = 256 * kMib, .algorithm = "lzo-rle"});
    ASSERT_TRUE(started) << started.error().message();
    device_ = *device;
  }
  void TearDown() override {
    RealCgroup::TearDown();
    if (!device_) return;
    const auto stopped = stop_zram_swap(tree_, *device_);
    EXPECT_TRUE(stopped) << stopped.error().message();
    EXPECT_TRUE(stop_zram_swap(tree_, *device_)) << "stopping what is stopped is no error";
  }
  SmapsRollup maps_of(const MemoryChild& child) const {
    const auto maps = read_smaps_rollup(tree_, child.pid());
    EXPECT_TRUE(maps) << maps.error().message();
    return maps.value_or(SmapsRollup{});
  }
  /// The mappings of a process's own memory, found as the shaver finds them.
  std::vector<AddressRange> ranges_of(const MemoryChild& child, std::uint64_t least) const {
    const auto walk =
        walk_smaps(tree_, child.pid(),
                   {.deadline = std::chrono::steady_clock::now() + 1min, .least_bytes = least});
    EXPECT_TRUE(walk && walk->complete);
    std::vector<AddressRange> ranges;
    if (!walk) return ranges;
    for (const MemoryMapping& one : walk->mappings)
      if (!one.locked) ranges.push_back({one.start, one.bytes});
    return ranges;
  }
  AdviceProgress advise(const MemoryChild& child, const std::vector<AddressRange>& ranges,
                        MemoryAdvice advice) const {
    const auto process = Pidfd::open(child.pid());
    EXPECT_TRUE(process);
    const auto done = advise_process(*process, ranges, advice,
                                     {.deadline = std::chrono::steady_clock::now() + 1min});
    EXPECT_TRUE(done) << done.error().message();
    return done.value_or(AdviceProgress{});
  }

  std::optional<unsigned> device_;
};

TEST_F(RealSwap, IsSetUpUsedAndTakenDown) {
  const std::string node = "/dev/zram" + std::to_string(*device_);
  const auto find = [&]() -> std::optional<SwapDevice> {
    const auto swaps = read_swaps(tree_);
    if (swaps)
      for (const SwapDevice& one : *swaps)
        if (one.path == node) return one;
    return std::nullopt;
  };
  const auto device = find();
  ASSERT_TRUE(device);
  EXPECT_FALSE(device->is_file);
  EXPECT_EQ(device->size_bytes, 512 * kMib - 4096) << "all but the header";
  EXPECT_EQ(device->priority, 100);
  const auto zram = read_zram(tree_);
  ASSERT_TRUE(zram);
  EXPECT_EQ(zram->limit, 256 * kMib);
  const auto twice = start_zram_swap(tree_, *device_, {.disk_bytes = kMib, .algorithm = {}});
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, EBUSY);
  ASSERT_TRUE(stop_zram_swap(tree_, *device_));
  EXPECT_FALSE(find());
  EXPECT_EQ(find_free_zram(tree_).value(), *device_) << "free again";
  const auto odd = start_zram_swap(tree_, *device_, {.disk_bytes = kMib, .algorithm = "rot13"});
  ASSERT_FALSE(odd);
  EXPECT_EQ(odd.error().code, EINVAL);
  EXPECT_EQ(find_free_zram(tree_).value(), *device_) << "still free";
}

TEST_F(RealSwap, PageOutPutsAProcessThereAndItComesBack) {
  constexpr std::uint64_t kSize = 64 * kMib;
  const Cgroup group = make();
  const MemoryChild child(group, kSize, Pages::kDistinct);
  const SmapsRollup before = maps_of(child);
  ASSERT_GE(before.anon, kSize);
  const auto vm_before = read_vmstat(tree_);
  ASSERT_TRUE(vm_before);
  const auto ranges = ranges_of(child, kMib);
  ASSERT_FALSE(ranges.empty());

  const AdviceProgress done = advise(child, ranges, MemoryAdvice::kPageOut);
  EXPECT_TRUE(done.complete);
  EXPECT_GE(done.advised_bytes, kSize);
  const SmapsRollup after = maps_of(child);
  EXPECT_LT(after.anon, kSize / 8) << "the yield, as its page tables tell";
  EXPECT_GT(after.swap, kSize * 7 / 8);
  const auto used = group.statistics();
  ASSERT_TRUE(used);
  EXPECT_LT(used->memory->anon_bytes, kSize / 8) << "and as its group does";
  EXPECT_GT(used->memory->swap_bytes, kSize * 7 / 8);
  const auto zram = read_zram(tree_);
  ASSERT_TRUE(zram);
  EXPECT_GE(zram->original, after.swap);
  EXPECT_LT(zram->used, kSize / 2) << "compressed, and in no group's charge";
  const auto vm_after = read_vmstat(tree_);
  ASSERT_TRUE(vm_after);
  EXPECT_GE(vm_after->swap_out - vm_before->swap_out, (kSize * 7 / 8) / 4096);

  EXPECT_TRUE(child.touch()) << "its memory is what it was";
  EXPECT_GE(maps_of(child).anon, kSize);
  const auto vm_end = read_vmstat(tree_);
  ASSERT_TRUE(vm_end);
  EXPECT_GE(vm_end->swap_in - vm_after->swap_in, (kSize * 7 / 8) / 4096);
}

TEST_F(RealSwap, WillNeedBringsMemoryBackBeforeItIsTouched) {
  constexpr std::uint64_t kSize = 32 * kMib;
  const Cgroup group = make();
  const MemoryChild child(group, kSize, Pages::kDistinct);
  const auto ranges = ranges_of(child, kMib);
  (void)advise(child, ranges, MemoryAdvice::kPageOut);
  const auto out = group.memory_usage();
  ASSERT_TRUE(out);
  (void)advise(child, ranges, MemoryAdvice::kWillNeed);
  const auto in = group.memory_usage();
  ASSERT_TRUE(in);
  EXPECT_GT(*in, *out + kSize / 2);
  const auto before = read_vmstat(tree_);
  EXPECT_TRUE(child.touch());
  const auto after = read_vmstat(tree_);
  ASSERT_TRUE(before && after);
  EXPECT_LT(after->swap_in - before->swap_in, kSize / 4096 / 4) << "few had to be read";
}

TEST_F(RealSwap, PagesThatCameBackAreFoundAndOnlyThoseAreBroughtBackNextTime) {
  constexpr std::uint64_t kSize = 16 * kMib;
  const Cgroup group = make();
  const MemoryChild child(group, kSize, Pages::kDistinct);
  const auto look = [&](const std::vector<AddressRange>& ranges) {
    auto map = read_page_map(tree_, child.pid(), ranges,
                             {.deadline = std::chrono::steady_clock::now() + 1min});
    EXPECT_TRUE(map && map->complete);
    return map.value_or(PageMap{});
  };
  const auto ranges = ranges_of(child, kMib);
  EXPECT_GE(look(ranges).present_bytes, kSize);
  (void)advise(child, ranges, MemoryAdvice::kPageOut);
  const PageMap out = look(ranges);
  EXPECT_GE(out.swapped_bytes, kSize * 7 / 8);
  EXPECT_LT(out.present_bytes, kSize / 8);
  ASSERT_TRUE(child.touch());
  const PageMap hot = look(ranges);
  EXPECT_GE(hot.present_bytes, kSize) << "all that it touched";
  (void)advise(child, ranges, MemoryAdvice::kPageOut);
  (void)advise(child, hot.present, MemoryAdvice::kWillNeed);
  EXPECT_GT(group.memory_usage().value_or(0), kSize / 2);
}

TEST_F(RealSwap, AdviceStopsAtItsBudgetAndPassesOverHoles) {
  const Cgroup group = make();
  const MemoryChild child(group, 16 * kMib, Pages::kDistinct);
  const auto ranges = ranges_of(child, kMib);
  ASSERT_FALSE(ranges.empty());
  const auto process = Pidfd::open(child.pid());
  ASSERT_TRUE(process);
  AdviceBudget budget{.deadline = std::chrono::steady_clock::now() + 1min};
  budget.bytes = 4 * kMib;
  const auto part = advise_process(*process, ranges, MemoryAdvice::kPageOut, budget);
  ASSERT_TRUE(part) << part.error().message();
  EXPECT_FALSE(part->complete);
  EXPECT_EQ(part->advised_bytes, 4 * kMib);
  EXPECT_LT(maps_of(child).swap, 5 * kMib);

  const std::vector<AddressRange> with_hole = {{4096, 4096}, part->next};
  const auto rest = advise_process(*process, with_hole, MemoryAdvice::kPageOut,
                                   {.deadline = std::chrono::steady_clock::now() + 1min});
  ASSERT_TRUE(rest) << rest.error().message();
  EXPECT_TRUE(rest->complete);
  EXPECT_EQ(rest->refused_bytes, 4096U) << "nothing is mapped there";
  EXPECT_NE(rest->last_refusal, 0);
  EXPECT_GT(maps_of(child).swap, 14 * kMib);

  const auto cold = advise_process(*process, ranges, MemoryAdvice::kCold,
                                   {.deadline = std::chrono::steady_clock::now() + 1min});
  ASSERT_TRUE(cold) << cold.error().message();
  EXPECT_TRUE(cold->complete);
}

TEST_F(RealSwap, AdviceToTheDeadIsAnError) {
  const Cgroup group = make();
  Pidfd process;
  {
    const MemoryChild child(group, kMib, Pages::kDistinct);
    process = std::move(*Pidfd::open(child.pid()));
  }
  const std::vector<AddressRange> ranges = {{1 << 20, 4096}};
  const auto done = advise_process(process, ranges, MemoryAdvice::kPageOut,
                                   {.deadline = std::chrono::steady_clock::now() + 1min});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ESRCH);
  EXPECT_TRUE(done.error().is_gone());
}

TEST_F(RealSwap, AGroupIsMadeSmallerAndKeepsItsLimit) {
  constexpr std::uint64_t kSize = 64 * kMib;
  const Cgroup group = make();
  Limits limits;
  limits.memory_bytes = 256 * kMib;
  ASSERT_TRUE(group.set_limits(limits));
  const MemoryChild child(group, kSize, Pages::kDistinct);
  const auto done = group.reclaim(24 * kMib);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(done->reached);
  EXPECT_GE(done->yield_bytes(), 23 * kMib);
  const auto after = group.statistics();
  ASSERT_TRUE(after);
  EXPECT_EQ(after->memory->limit_bytes, 256 * kMib);
  EXPECT_GE(after->memory->swap_bytes, 20 * kMib);
  EXPECT_TRUE(child.touch());
}

TEST_F(RealSwap, AGroupThatCannotBeMadeSmallerKeepsItsLimit) {
  ASSERT_TRUE(stop_zram_swap(tree_, *device_));
  const Cgroup group = make();
  Limits limits;
  limits.memory_bytes = 256 * kMib;
  ASSERT_TRUE(group.set_limits(limits));
  const MemoryChild child(group, 32 * kMib, Pages::kDistinct);
  const auto done = group.reclaim(24 * kMib);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_FALSE(done->reached) << "there is nowhere to put it";
  EXPECT_EQ(group.statistics()->memory->limit_bytes, 256 * kMib);
  EXPECT_TRUE(child.touch());
}

TEST_F(RealSwap, KilledWhileReclaimingItLeavesTheLimitOrItCanBePutBack) {
  constexpr std::uint64_t kLimit = 256 * kMib;
  const Cgroup group = make();
  Limits limits;
  limits.memory_bytes = kLimit;
  ASSERT_TRUE(group.set_limits(limits));
  const MemoryChild child(group, 128 * kMib, Pages::kDistinct);
  const CgroupMount* memory = root_.layout().with("memory");
  ASSERT_NE(memory, nullptr);
  for (int i = 0; i < 8; ++i) {
    const pid_t poker = ::fork();
    if (poker == 0) {
      for (;;) (void)group.reclaim(32 * kMib);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5 + 7 * i));
    ASSERT_EQ(::kill(poker, SIGKILL), 0);
    ASSERT_EQ(::waitpid(poker, nullptr, 0), poker);
    if (memory->version == 1) {
      const auto dir = tree_.cgroup.open_dir(memory->directory + "/" + path_);
      ASSERT_TRUE(dir);
      const auto restored = restore_limit_v1(*dir, kLimit);
      ASSERT_TRUE(restored) << restored.error().message();
    }
    EXPECT_EQ(group.statistics()->memory->limit_bytes, kLimit);
    EXPECT_TRUE(child.touch());
  }
}

TEST_F(RealSwap, RealPressureRaisesATrigger) {
  const Cgroup group = make();
  Limits limits;
  limits.memory_bytes = 24 * kMib;
  ASSERT_TRUE(group.set_limits(limits));
  const PsiThreshold threshold{20ms, 2s};
  const auto trigger = group.pressure_trigger(PressureResource::kMemory, threshold);
  ASSERT_TRUE(trigger) << trigger.error().message();
  EXPECT_FALSE(trigger->wait(0ms).value()) << "nothing has happened yet";
  // Twice as large as its limit: it waits for its own pages all the time.
  const pid_t child = start(group, [&group] {
    const MemoryChild thrashing(group, 48 * kMib, Pages::kDistinct);
    while (thrashing.touch()) {
    }
  });
  const auto raised = trigger->wait(60s);
  ASSERT_TRUE(raised) << raised.error().message();
  EXPECT_TRUE(*raised);
  const auto pressure = group.pressure(PressureResource::kMemory);
  ASSERT_TRUE(pressure);
  EXPECT_GE(pressure->some.total_us, 20'000U);
  ASSERT_TRUE(group.kill_all(10s));
  (void)status_of(child);
  auto gone = Cgroup::open(root_, path_);
  ASSERT_TRUE(gone);
  ASSERT_TRUE(gone->destroy(10s));
  const auto orphaned = trigger->wait(10s);
  ASSERT_FALSE(orphaned);
  EXPECT_EQ(orphaned.error().code, ENODEV);
}

TEST_F(RealSwap, WindowsAreWhatTheKernelAllows) {
  for (const PressureResource resource :
       {PressureResource::kCpu, PressureResource::kMemory, PressureResource::kIo}) {
    const auto host = PsiTrigger::open_host(tree_, resource, {100ms, 2s});
    EXPECT_TRUE(host) << host.error().message();
    EXPECT_TRUE(PsiTrigger::open_host(tree_, resource, {100ms, 4s}));
  }
  // Only with CAP_SYS_RESOURCE.
  const auto odd = PsiTrigger::open_host(tree_, PressureResource::kMemory, {100ms, 1s});
  EXPECT_TRUE(odd || odd.error().code == EINVAL) << odd.error().message();
}

}  // namespace
}  // namespace panal::kernel
