// What a user's return touched is recorded, kept on disk, and fetched the next time before the
// desktop runs again: a real process, real swap in compressed memory, a real freeze.
#include <sys/syscall.h>

#include <filesystem>
#include <future>
#include <nlohmann/json.hpp>

#include "engine/kernel/smaps.h"
#include "engine/kernel/vmstat.h"
#include "runtime/optimiser/memory_taker.h"
#include "runtime/optimiser/optimiser.h"
#include "tests/support/patience.h"
#include "tests/system/optimiser/real_swap_group.h"

namespace panal::optimiser {
namespace {

using namespace std::chrono_literals;
using kernel::MemoryChild;
using kernel::Pages;

constexpr DesktopId kDesktop = 7;

class HotRanges : public RealSwapGroup {
 protected:
  static constexpr std::uint64_t kHot = MemoryChild::hot_bytes(kSize);

  void SetUp() override {
    RealSwapGroup::SetUp();
    if (HasFatalFailure()) return;
    if (::syscall(SYS_process_madvise, -1, nullptr, 0, 0, 0) < 0 && errno == ENOSYS)
      GTEST_SKIP() << "this kernel has no process_madvise";
    directory_ = ::testing::TempDir() + "panal-hot";
    std::filesystem::remove_all(directory_);
  }
  void TearDown() override {
    optimiser_.reset();
    RealSwapGroup::TearDown();
  }
  void open() {
    optimiser_.reset();
    Settings settings;
    settings.shave = true;
    settings.shaver.eagerness = 1;
    settings.shaver.freeze_after_ns = 1'000'000'000;
    auto opened = Optimiser::open({.tree = tree_,
                                   .cgroups = root_,
                                   .cgroup_parent = parent_path(),
                                   .saved_ksm_file = ::testing::TempDir() + "panal-ksm-former",
                                   .log = Logger::silent(),
                                   .hot_directory = directory_},
                                  settings);
    ASSERT_TRUE(opened) << opened.error().message();
    optimiser_ = std::move(*opened);
    optimiser_->started(kDesktop, {"school", "standard"}, false);
  }
  static bool eventually(const std::function<bool()>& good, std::chrono::seconds patience = 90s) {
    const auto until = std::chrono::steady_clock::now() + patience * panal::patience();
    while (!good()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(50ms);
    }
    return true;
  }
  std::uint64_t wakes(const char* what) const {
    return optimiser_->report()["wakes"].value(what, std::uint64_t{0});
  }
  /// Nobody is there: it is paged out, as the optimiser does it but in one step, and frozen.
  void fall_asleep(const kernel::Cgroup& group, const MemoryChild& child) {
    optimiser_->session(kDesktop, false, 0);
    TakeCursor cursor;
    const auto taken =
        choose_taker(tree_, root_, parent_path())
            ->take(group, {kSize, std::chrono::steady_clock::now() + 10s * panal::patience()},
                   cursor);
    ASSERT_TRUE(taken) << taken.error().message();
    ASSERT_TRUE(eventually([&] {
      const auto maps = kernel::read_smaps_rollup(tree_, child.pid());
      return maps && maps->anon < kSize / 8 &&
             optimiser_->report()["desktops"]["7"].value("frozen", false);
    })) << optimiser_->report().dump(1);
  }
  /// In `done` the desktop was thawed, and has not been told anything yet.
  void wake(const std::function<void()>& look = [] {}) {
    std::promise<void> awake;
    optimiser_->wake(kDesktop, [&] {
      look();
      awake.set_value();
    });
    ASSERT_EQ(awake.get_future().wait_for(10s * panal::patience()), std::future_status::ready);
  }
  std::uint64_t usage(const kernel::Cgroup& group) const {
    return group.memory_usage().value_or(0);
  }
  std::uint64_t swapped_in() const {
    const auto vm = kernel::read_vmstat(tree_);
    return vm ? vm->swap_in * 4096 : 0;
  }

  std::string directory_;
  std::unique_ptr<Optimiser> optimiser_;
};

TEST_F(HotRanges, AreRecordedKeptAndInMemoryBeforeTheThaw) {
  const kernel::Cgroup group = make();
  const MemoryChild child(group, kSize, Pages::kDistinct);
  ASSERT_TRUE(child.call_itself_nxagent());
  open();
  optimiser_->treat(kDesktop, {.prefetch = Prefetch::kNothing});
  fall_asleep(group, child);
  wake();
  EXPECT_TRUE(child.touch_hot());
  optimiser_->session(kDesktop, true, 0);
  ASSERT_TRUE(eventually([&] { return wakes("records") == 1; }, 20s))
      << optimiser_->report().dump(1);
  EXPECT_GE(wakes("hot_bytes"), kHot);
  EXPECT_LT(wakes("hot_bytes"), kHot * 2);
  EXPECT_EQ(wakes("by_ranges"), 0U);
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(directory_ + "/7"); }, 5s));
  EXPECT_LT(std::filesystem::file_size(directory_ + "/7"), 64U << 10);

  fall_asleep(group, child);
  open();  // a new panald
  fall_asleep(group, child);
  const std::uint64_t out = usage(group);
  std::uint64_t in = 0;
  wake([&] { in = usage(group); });
  EXPECT_EQ(wakes("by_ranges"), 1U) << optimiser_->report().dump(1);
  EXPECT_GE(in, out + kHot * 3 / 4) << "before anybody touched it";
  EXPECT_LT(in, out + kHot * 2) << "and not all of it";
  const std::uint64_t before = swapped_in();
  EXPECT_TRUE(child.touch_hot());
  EXPECT_LT(swapped_in() - before, kHot / 4) << "few had to be read";
  EXPECT_TRUE(child.touch()) << "all of it is what it was";
}

TEST_F(HotRanges, OfProcessesThatAreNoMoreCostNothing) {
  const kernel::Cgroup group = make();
  open();
  {
    const MemoryChild child(group, kSize, Pages::kDistinct);
    optimiser_->treat(kDesktop, {.prefetch = Prefetch::kNothing});
    fall_asleep(group, child);
    wake();
    EXPECT_TRUE(child.touch_hot());
    optimiser_->session(kDesktop, true, 0);
    ASSERT_TRUE(eventually([&] { return wakes("records") == 1; }, 20s));
  }
  optimiser_->treat(kDesktop, {});
  const MemoryChild child(group, kSize, Pages::kDistinct);
  fall_asleep(group, child);
  const std::uint64_t out = usage(group);
  std::uint64_t in = 0;
  wake([&] { in = usage(group); });
  EXPECT_EQ(wakes("by_ranges"), 1U);
  EXPECT_LT(in, out + kMib);
  EXPECT_EQ(optimiser_->report()["errors"], 0);
  EXPECT_TRUE(child.touch());
}

TEST_F(HotRanges, NothingIsTakenFromTheSpared) {
  const kernel::Cgroup group = make();
  const MemoryChild child(group, kSize, Pages::kDistinct);
  open();
  EXPECT_TRUE(optimiser_->treat(kDesktop, {.spared = true}));
  EXPECT_FALSE(optimiser_->treat(kDesktop + 1, {.spared = true}));
  // When one beside it was taken from and frozen, it would have been too.
  const auto beside = kernel::Cgroup::create(root_, parent_path() + "/d8");
  ASSERT_TRUE(beside) << beside.error().message();
  const MemoryChild other(*beside, kSize, Pages::kDistinct);
  optimiser_->started(kDesktop + 1, {"school", "standard"}, false);
  ASSERT_TRUE(eventually([&] {
    const auto its = kernel::read_smaps_rollup(tree_, other.pid());
    return its && its->anon < kSize * 3 / 4 &&
           optimiser_->report()["desktops"]["8"].value("frozen", false);
  })) << optimiser_->report().dump(1);
  const auto maps = kernel::read_smaps_rollup(tree_, child.pid());
  ASSERT_TRUE(maps);
  EXPECT_GE(maps->anon, kSize) << optimiser_->report().dump(1);
  EXPECT_FALSE(optimiser_->report()["desktops"]["7"].value("frozen", true));
}

}  // namespace
}  // namespace panal::optimiser
