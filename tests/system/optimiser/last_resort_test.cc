// The last resort over real groups below a parent that is about to be full.
#include <sys/mman.h>

#include <list>
#include <nlohmann/json.hpp>

#include "engine/kernel/meminfo.h"
#include "runtime/optimiser/optimiser.h"
#include "runtime/optimiser/rescuer.h"
#include "tests/support/patience.h"
#include "tests/system/kernel/machine/memory_child.h"
#include "tests/system/kernel/real_cgroup.h"

namespace panal::optimiser {
namespace {

using namespace std::chrono_literals;
using kernel::MemoryChild;
using kernel::Pages;

constexpr std::uint64_t kMib = std::uint64_t{1} << 20;
constexpr std::uint64_t kParent = 1024 * kMib;
constexpr std::uint64_t kEach = 40 * kMib;
/// Beside three bystanders: not yet near the reserve, which is 64 MiB.
constexpr std::uint64_t kSafe = kParent - 3 * kEach - 112 * kMib;

/// Takes memory: at once as far as `quick`, the rest slowly.
[[noreturn]] void eat(std::uint64_t bytes, std::uint64_t quick, std::chrono::milliseconds pause) {
  constexpr std::uint64_t kStep = 2 * kMib;
  for (std::uint64_t taken = 0; taken < bytes; taken += kStep) {
    auto* memory = static_cast<unsigned char*>(
        ::mmap(nullptr, kStep, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (memory == MAP_FAILED) ::_exit(1);
    for (std::uint64_t i = 0; i < kStep; i += 64)
      memory[i] = static_cast<unsigned char>((taken + i) * 31);
    if (taken >= quick) std::this_thread::sleep_for(pause);
  }
  for (;;) ::pause();
}

class RealRescuer : public kernel::RealCgroup {
 protected:
  void SetUp() override {
    RealCgroup::SetUp();
    if (HasFatalFailure()) return;
    ::signal(SIGPIPE, SIG_IGN);  // a bystander that was lost is to be told of
    auto parent = kernel::Cgroup::create(root_, parent_path());
    ASSERT_TRUE(parent) << parent.error().message();
    Limits limits;
    limits.memory_bytes = kParent;
    ASSERT_TRUE(parent->set_limits(limits));
    auto optimiser = Optimiser::open(
        {tree_, root_, parent_path(), ::testing::TempDir() + "panal-ksm-former", Logger::silent()},
        Settings{});
    ASSERT_TRUE(optimiser) << optimiser.error().message();
    optimiser_ = std::move(*optimiser);
    watch(64 * kMib);
  }
  /// `reserve_bytes`: of the host's memory.
  void watch(std::uint64_t reserve_bytes) {
    rescuer_.reset();
    auto rescuer = Rescuer::open(
        {tree_, root_, *optimiser_, parent_path(), reserve_bytes, 2 * kParent, Logger::silent()});
    ASSERT_TRUE(rescuer) << rescuer.error().message();
    rescuer_ = std::move(*rescuer);
  }
  void TearDown() override {
    rescuer_.reset();
    optimiser_.reset();
    bystanders_.clear();
    RealCgroup::TearDown();
  }
  kernel::Cgroup desk(DesktopId id, bool connected = true) {
    auto made = kernel::Cgroup::create(root_, parent_path() + "/" + kernel_name(id));
    EXPECT_TRUE(made) << made.error().message();
    optimiser_->started(id, {"school", "standard"}, false);
    if (connected) optimiser_->session(id, true, 0);
    return std::move(*made);
  }
  void bystander(DesktopId id, bool connected = true) {
    bystanders_.emplace_back(desk(id, connected), kEach, Pages::kDistinct);
  }
  bool eventually(const std::function<bool()>& good, std::chrono::seconds patience = 60s) const {
    const auto until = std::chrono::steady_clock::now() + patience * panal::patience();
    while (!good()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(20ms);
    }
    return true;
  }
  void bystanders_live() const {
    for (const MemoryChild& one : bystanders_) EXPECT_TRUE(one.touch()) << report();
  }
  std::string report() const { return rescuer_->report().dump(1); }
  std::uint64_t count(const char* what) const {
    return rescuer_->report().value(what, std::uint64_t{0});
  }

  std::unique_ptr<Optimiser> optimiser_;
  std::unique_ptr<Rescuer> rescuer_;
  std::list<MemoryChild> bystanders_;
};

TEST_F(RealRescuer, KillsTheGreedyProcessAndNobodyElse) {
  for (DesktopId id = 1; id <= 3; ++id) bystander(id);
  const kernel::Cgroup group = desk(9);
  const pid_t calm = start(group);
  const pid_t hog = start(group, [] { eat(2 * kParent, kSafe, 200ms); });
  ASSERT_TRUE(eventually([&] { return count("killed_processes") > 0; })) << report();
  const int status = status_of(hog);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  EXPECT_EQ(::kill(calm, 0), 0) << "the rest of its desktop goes on";
  EXPECT_TRUE(eventually([&] { return !rescuer_->closed(); })) << report();
  EXPECT_EQ(count("killed_processes"), 1U) << report();
  EXPECT_EQ(count("killed_desktops"), 0U) << report();
  EXPECT_EQ(rescuer_->killed_processes().at(9), 1U);
  const auto memory = group.statistics();
  ASSERT_TRUE(memory && memory->memory);
  EXPECT_EQ(memory->memory->oom_kills, 0U) << "it was in time, and the kernel had not to choose";
  bystanders_live();
  optimiser_->ended(9);
  EXPECT_TRUE(eventually([&] { return rescuer_->killed_processes().empty(); }, 10s))
      << "nothing is kept of who is gone";
}

TEST_F(RealRescuer, AParentThatIsMadeAgainIsWatchedAgain) {
  const auto watched = [this] { return rescuer_->report().value("by_event", false); };
  if (!watched()) GTEST_SKIP() << "no pressure here";
  auto parent = kernel::Cgroup::open(root_, parent_path());
  ASSERT_TRUE(parent);
  ASSERT_TRUE(parent->destroy(5s));
  EXPECT_TRUE(eventually([&] { return !watched(); }, 5s)) << report();
  auto again = kernel::Cgroup::create(root_, parent_path());
  ASSERT_TRUE(again) << again.error().message();
  Limits limits;
  limits.memory_bytes = kParent;
  ASSERT_TRUE(again->set_limits(limits));
  EXPECT_TRUE(eventually(watched, 15s)) << report();
  bystander(1);
  EXPECT_TRUE(eventually([&] { return count("fenced") == 1; }, 15s)) << "its limit counts again";
}

TEST_F(RealRescuer, AHostThatIsNearerToItsReserveHidesNoGroupWithLess) {
  const auto host = kernel::read_meminfo(tree_);
  ASSERT_TRUE(host);
  watch(host->available / 2);  // two reserves are left to the host, some fifteen to the group
  bystander(1);
  EXPECT_TRUE(eventually([&] { return count("fenced") == 1; }, 10s)) << report();
  EXPECT_EQ(rescuer_->report().value("nearest", std::string()), "the host");
  bystanders_live();
}

TEST_F(RealRescuer, KillsTheDesktopWhoseProcessesComeBack) {
  for (DesktopId id = 1; id <= 3; ++id) bystander(id);
  const kernel::Cgroup group = desk(9);
  // A program that starts its eater again and again.
  const pid_t hog = start(group, [] {
    for (;;) {
      const pid_t child = ::fork();
      if (child == 0) eat(2 * kParent, kSafe, 200ms);
      int status = 0;
      (void)::waitpid(child, &status, 0);
    }
  });
  std::optional<std::string> why;
  ASSERT_TRUE(eventually([&] { return (why = rescuer_->killed(9)).has_value(); }, 120s))
      << report();
  EXPECT_THAT(*why, ::testing::HasSubstr("killed to save its neighbours"));
  EXPECT_THAT(*why, ::testing::HasSubstr("above an equal share"));
  EXPECT_FALSE(rescuer_->killed(9)) << "told once";
  const int status = status_of(hog);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  EXPECT_TRUE(eventually([&] {
    const auto populated = group.populated();
    return populated && !*populated;
  }));
  EXPECT_EQ(count("killed_desktops"), 1U) << report();
  EXPECT_TRUE(eventually([&] { return !rescuer_->closed(); })) << report();
  bystanders_live();
}

TEST_F(RealRescuer, OneThatIsTooQuickForAnyLookIsStoppedAtItsFence) {
  for (DesktopId id = 1; id <= 3; ++id) bystander(id);
  const kernel::Cgroup group = desk(9);
  std::this_thread::sleep_for(500ms);
  const pid_t hog = start(group, [] {
    for (;;) {
      const pid_t child = ::fork();
      if (child == 0) eat(2 * kParent, 2 * kParent, 0ms);
      int status = 0;
      (void)::waitpid(child, &status, 0);
    }
  });
  std::optional<std::string> why;
  ASSERT_TRUE(eventually([&] { return (why = rescuer_->killed(9)).has_value(); }, 120s))
      << report();
  std::printf("  %s\n", why->c_str());
  status_of(hog);
  bystanders_live();
  for (DesktopId id = 1; id <= 3; ++id) {
    const auto one = kernel::Cgroup::open(root_, parent_path() + "/" + kernel_name(id));
    ASSERT_TRUE(one);
    const auto usage = one->statistics();
    EXPECT_TRUE(usage && usage->memory && usage->memory->oom_kills == 0) << id;
  }
}

TEST_F(RealRescuer, ManySmallOnesAreOneHog) {
  for (DesktopId id = 1; id <= 3; ++id) bystander(id);
  const kernel::Cgroup group = desk(9);
  std::this_thread::sleep_for(500ms);  // a session takes longer to start than a look
  // No process of it is as large as a bystander's: the kernel would blame the wrong one.
  const pid_t hog = start(group, [] {
    for (int i = 0; i < 32; ++i)
      if (::fork() == 0) eat(64 * kMib, 64 * kMib, 0ms);
    for (;;) ::pause();
  });
  const auto kernel_kills = [&group] {
    const auto usage = group.statistics();
    return usage && usage->memory ? usage->memory->oom_kills : 0;
  };
  ASSERT_TRUE(eventually([&] {
    return count("killed_processes") + count("killed_desktops") + kernel_kills() >= 1;
  })) << report();
  std::this_thread::sleep_for(8s);
  bystanders_live();
  for (DesktopId id = 1; id <= 3; ++id) {
    EXPECT_EQ(rescuer_->killed_processes().count(id), 0U) << id;
    const auto one = kernel::Cgroup::open(root_, parent_path() + "/" + kernel_name(id));
    ASSERT_TRUE(one);
    const auto usage = one->statistics();
    EXPECT_TRUE(usage && usage->memory && usage->memory->oom_kills == 0) << id;
  }
  (void)::kill(hog, SIGKILL);
  status_of(hog);
}

TEST_F(RealRescuer, FreezesWhoIsAwayAndRefusesBeforeItKills) {
  bystander(1);
  bystander(2, false);
  const kernel::Cgroup group = desk(9);
  // Into the reserve and no further: nobody is killed for that.
  const pid_t large = start(group, [] { eat(kParent - 2 * kEach - 48 * kMib, kSafe, 20ms); });
  ASSERT_TRUE(eventually([&] { return rescuer_->closed().has_value(); })) << report();
  EXPECT_THAT(*rescuer_->closed(), ::testing::HasSubstr("MiB are left to group"));
  EXPECT_TRUE(eventually([&] {
    return optimiser_->report()["desktops"]["2"].value("frozen", false);
  })) << report()
      << optimiser_->report().dump(1);
  EXPECT_EQ(count("killed_processes") + count("killed_desktops"), 0U) << report();
  (void)::kill(large, SIGKILL);
  status_of(large);
  EXPECT_TRUE(eventually([&] { return !rescuer_->closed(); })) << report();
  optimiser_->thaw(2);
  bystanders_live();
}

}  // namespace
}  // namespace panal::optimiser
