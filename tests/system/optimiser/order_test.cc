// The order of the last resort's steps, where to take memory lasts longer than a step is held.
#include <list>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/kernel/meminfo.h"
#include "runtime/optimiser/optimiser.h"
#include "runtime/optimiser/rescuer.h"
#include "tests/support/patience.h"
#include "tests/system/optimiser/real_swap_group.h"

namespace panal::optimiser {
namespace {

using namespace std::chrono_literals;
using kernel::MemoryChild;
using kernel::Pages;

class RealOrder : public RealSwapGroup {
 protected:
  static constexpr std::uint64_t kParent = 1024 * kMib;
  static constexpr std::uint64_t kHog = 600 * kMib;
  static constexpr DesktopId kAway = 6;  ///< desktops 1 to 6

  /// By the kernel's word.
  bool frozen(DesktopId id) const {
    const std::string path = parent_path() + "/" + kernel_name(id);
    for (const auto& hierarchy : root_.hierarchies()) {
      if (hierarchy.mount.has("freezer") &&
          hierarchy.dir.read(path + "/freezer.state").value_or("").starts_with("FROZEN"))
        return true;
      if (hierarchy.mount.version == 2 &&
          hierarchy.dir.read(path + "/cgroup.events").value_or("").find("frozen 1") !=
              std::string::npos)
        return true;
    }
    return false;
  }
  kernel::Cgroup desk(DesktopId id) const {
    auto made = kernel::Cgroup::create(root_, parent_path() + "/" + kernel_name(id));
    EXPECT_TRUE(made) << made.error().message();
    return std::move(*made);
  }
};

TEST_F(RealOrder, AllWhoAreAwayAreFrozenBeforeAProcessIsKilled) {
  auto parent = kernel::Cgroup::create(root_, parent_path());
  ASSERT_TRUE(parent) << parent.error().message();
  Limits limits;
  limits.memory_bytes = kParent;
  ASSERT_TRUE(parent->set_limits(limits));
  auto optimiser = Optimiser::open(
      {tree_, root_, parent_path(), ::testing::TempDir() + "panal-ksm-former", Logger::silent()},
      Settings{});
  ASSERT_TRUE(optimiser) << optimiser.error().message();
  std::list<MemoryChild> away;
  for (DesktopId id = 1; id <= kAway; ++id) {
    const kernel::Cgroup group = desk(id);
    away.emplace_back(group, 40 * kMib, Pages::kDistinct);
    (*optimiser)->started(id, {"school", "standard"}, false);
  }
  const kernel::Cgroup group = desk(9);
  const MemoryChild hog(group, kHog, Pages::kDistinct);
  (*optimiser)->started(9, {"school", "standard"}, false);
  (*optimiser)->session(9, true, 0);
  std::this_thread::sleep_for(2s);  // all were looked at once
  // Critical from the first look on, and only tight without the hog.
  const auto host = kernel::read_meminfo(tree_);
  ASSERT_TRUE(host) << host.error().message();
  auto rescuer = Rescuer::open({tree_, root_, **optimiser, parent_path(),
                                2 * (host->available + kHog / 4), 2 * kParent, Logger::silent()});
  ASSERT_TRUE(rescuer) << rescuer.error().message();
  const auto until = std::chrono::steady_clock::now() + 60s * patience();
  while ((*rescuer)->killed_processes().empty() && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(1ms);
  for (DesktopId id = 1; id <= kAway; ++id) EXPECT_TRUE(frozen(id)) << id;
  EXPECT_EQ((*rescuer)->killed_processes(), (std::map<DesktopId, std::uint64_t>{{9, 1}}))
      << (*rescuer)->report().dump(1);
  rescuer->reset();
  optimiser->reset();
  for (const MemoryChild& one : away) EXPECT_TRUE(one.touch()) << "none was lost";
}

}  // namespace
}  // namespace panal::optimiser
