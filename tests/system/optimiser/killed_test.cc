// panald is killed in the middle of each thing it does to a desktop. What it leaves harms nobody
// until the next one comes, and that one takes it back. The steps that change the machine and not
// a desktop have theirs elsewhere: KSM in optimiser_test.cc, zram and sysctls in
// tests/system/tuning.
#include <sys/mman.h>

#include <atomic>
#include <new>
#include <nlohmann/json.hpp>

#include "engine/kernel/smaps.h"
#include "runtime/optimiser/optimiser.h"
#include "runtime/optimiser/rescuer.h"
#include "tests/system/optimiser/real_swap_group.h"

namespace panal::optimiser {
namespace {

using namespace std::chrono_literals;
using kernel::MemoryChild;
using kernel::Pages;

constexpr DesktopId kDesk = 7;

class RealKilled : public RealSwapGroup {
 protected:
  static constexpr std::uint64_t kOwn = 512 * kMib;  ///< a desktop's limit, by its start

  void SetUp() override {
    RealSwapGroup::SetUp();
    if (HasFatalFailure()) return;
    saved_ = ::testing::TempDir() + "panal-ksm-former";
    ::unlink(saved_.c_str());
    count_ = static_cast<std::atomic<unsigned>*>(
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(count_, MAP_FAILED);
    new (count_) std::atomic<unsigned>(0);
  }
  void TearDown() override {
    kill_it();
    rescuer_.reset();
    optimiser_.reset();
    RealSwapGroup::TearDown();
    if (count_ != MAP_FAILED) ::munmap(count_, 4096);
  }

  /// A desktop's group with the limit that it was started with, and a process that counts.
  kernel::Cgroup desk() {
    kernel::Cgroup group = make();
    limit(group, kOwn);
    start(group, [count = count_] {
      for (;; ::usleep(1000)) ++*count;
    });
    return group;
  }
  static void limit(const kernel::Cgroup& group, std::uint64_t bytes) {
    Limits limits;
    limits.memory_bytes = bytes;
    const auto set = group.set_limits(limits);
    EXPECT_TRUE(set) << set.error().message();
  }
  void limit_all(std::uint64_t bytes) {
    const auto parent = kernel::Cgroup::open(root_, parent_path());
    ASSERT_TRUE(parent) << parent.error().message();
    limit(*parent, bytes);
  }
  bool counts() const {
    const unsigned before = *count_;
    return eventually([&] { return *count_ != before; }, 20s);
  }
  /// By the kernel's word: one that does not count may only be waiting for a CPU.
  bool frozen() const {
    for (const auto& hierarchy : root_.hierarchies()) {
      if (hierarchy.mount.has("freezer") &&
          hierarchy.dir.read(path_ + "/freezer.state").value_or("").starts_with("FROZEN"))
        return true;
      if (hierarchy.mount.version == 2 &&
          hierarchy.dir.read(path_ + "/cgroup.events").value_or("").find("frozen 1") !=
              std::string::npos)
        return true;
    }
    return false;
  }
  static bool eventually(const std::function<bool()>& good, std::chrono::milliseconds patience) {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!good()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(5ms);
    }
    return true;
  }

  struct Hands {
    std::unique_ptr<Optimiser> optimiser;
    std::unique_ptr<Rescuer> rescuer;
  };
  /// Both, having taken the desktop over in the order in which a node does it. `desktop_bytes`: as
  /// for Rescuer::Parts. Empty: it did not go well.
  Hands take_over(const Settings& settings, std::uint64_t desktop_bytes) const {
    Hands hands;
    auto optimiser =
        Optimiser::open({tree_, root_, parent_path(), saved_, Logger::silent()}, settings);
    if (!optimiser) return hands;
    hands.optimiser = std::move(*optimiser);
    auto rescuer = Rescuer::open({tree_, root_, *hands.optimiser, parent_path(), 64 * kMib,
                                  desktop_bytes, Logger::silent()});
    if (!rescuer) return hands;
    hands.rescuer = std::move(*rescuer);
    hands.rescuer->started(kDesk, kOwn);
    hands.optimiser->started(kDesk, {"school", "standard"}, false);
    return hands;
  }
  /// The one that will be killed, in a process of its own.
  void begin(const Settings& settings, std::uint64_t desktop_bytes = 0) {
    panald_ = ::fork();
    if (panald_ != 0) return;
    const Hands hands = take_over(settings, desktop_bytes);
    if (!hands.rescuer) ::_exit(2);
    for (;;) ::pause();
  }
  void kill_it() {
    if (panald_ <= 0) return;
    (void)::kill(panald_, SIGKILL);
    const int status = status_of(std::exchange(panald_, -1));
    EXPECT_TRUE(WIFSIGNALED(status)) << "it ended by itself: " << status;
  }
  /// The next one, which is asked for nothing of what the former did.
  void go_on() {
    Hands next = take_over(Settings{}, 0);
    ASSERT_TRUE(next.rescuer);
    optimiser_ = std::move(next.optimiser);
    rescuer_ = std::move(next.rescuer);
  }
  static void expect_unharmed(const kernel::Cgroup& group) {
    EXPECT_EQ(group.memory_limit().value_or(0), kOwn);
    const auto usage = group.statistics();
    ASSERT_TRUE(usage && usage->memory);
    EXPECT_EQ(usage->memory->oom_kills, 0U);
  }

  std::string saved_;
  std::atomic<unsigned>* count_ = static_cast<std::atomic<unsigned>*>(MAP_FAILED);
  pid_t panald_ = -1;
  std::unique_ptr<Optimiser> optimiser_;
  std::unique_ptr<Rescuer> rescuer_;
};

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

TEST_F(RealKilled, WhileAClassesLimitFollowsADesktopDownTheNextOnePutsItsOwnBack) {
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

}  // namespace
}  // namespace panal::optimiser
