#pragma once

#include <sys/mman.h>

#include <atomic>
#include <functional>
#include <memory>
#include <new>
#include <string>

#include "runtime/optimiser/optimiser.h"
#include "runtime/optimiser/rescuer.h"
#include "tests/support/patience.h"
#include "tests/system/optimiser/real_swap_group.h"

namespace panal::optimiser {

inline constexpr DesktopId kDesk = 7;

/// The optimiser and the last resort of a panald in a process of its own, over a real desktop's
/// group; that process is killed, and another panald comes.
class RealKilled : public RealSwapGroup {
 protected:
  static constexpr std::uint64_t kOwn = 512 * kMib;  ///< a desktop's limit, by its start
  static constexpr std::uint64_t kOwnPids = 100;
  static constexpr std::uint64_t kReserve = 64 * kMib;  ///< of the host's memory

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
    return eventually([&] { return *count_ != before; }, std::chrono::seconds(20));
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
  /// The first word of a file of the desktop's group, by the version that has the controller.
  std::string knob(const char* controller, const char* v2, const char* v1) const {
    for (const auto& hierarchy : root_.hierarchies()) {
      if (!hierarchy.mount.has(controller)) continue;
      const char* file = hierarchy.mount.version == 2 ? v2 : v1;
      const std::string text = hierarchy.dir.read(path_ + "/" + file).value_or("");
      return text.substr(0, text.find_first_of(" \n"));
    }
    return "";
  }
  static bool eventually(const std::function<bool()>& good, std::chrono::milliseconds patience) {
    const auto until = std::chrono::steady_clock::now() + patience * panal::patience();
    while (!good()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }

  struct Hands {
    std::unique_ptr<Optimiser> optimiser;
    std::unique_ptr<Rescuer> rescuer;
  };
  /// Both, having taken the desktop over in the order in which a node does it. `desktop_bytes`,
  /// `reserve_bytes`: as for Rescuer::Parts. Empty: it did not go well.
  Hands take_over(const Settings& settings, std::uint64_t desktop_bytes,
                  std::uint64_t reserve_bytes = kReserve) const {
    Hands hands;
    auto optimiser =
        Optimiser::open({tree_, root_, parent_path(), saved_, Logger::silent()}, settings);
    if (!optimiser) return hands;
    hands.optimiser = std::move(*optimiser);
    auto rescuer = Rescuer::open({tree_, root_, *hands.optimiser, parent_path(), reserve_bytes,
                                  desktop_bytes, Logger::silent()});
    if (!rescuer) return hands;
    hands.rescuer = std::move(*rescuer);
    Limits at_start;
    at_start.memory_bytes = kOwn;
    at_start.pids = kOwnPids;
    hands.rescuer->started(kDesk, at_start);
    hands.optimiser->started(kDesk, {"school", "standard"}, false);
    return hands;
  }
  /// The one that will be killed, in a process of its own.
  void begin(const Settings& settings, std::uint64_t desktop_bytes = 0,
             std::uint64_t reserve_bytes = kReserve) {
    panald_ = ::fork();
    if (panald_ != 0) return;
    const Hands hands = take_over(settings, desktop_bytes, reserve_bytes);
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

}  // namespace panal::optimiser
