#include "runtime/desktop/groups.h"

#include <set>

#include "runtime/desktop/lxc/config.h"
#include "runtime/desktop/places.h"

namespace panal::desktop {
namespace {

/// A process in an uninterruptible sleep dies when its I/O is done.
constexpr std::chrono::milliseconds kKillTimeout{10000};
/// liblxc's monitor moves here before it removes its own group.
constexpr const char* kPivot = "lxc.pivot";

}  // namespace

bool is_container_init(const kernel::ProcessStatus& process) {
  // Deeper than one: a namespace inside the desktop, such as a browser makes.
  return process.alive && process.depth == 1 && process.inner_pid == 1;
}

Result<std::unique_ptr<KernelGroups>> KernelGroups::open(const Tree& tree,
                                                         std::string cgroup_parent) {
  PANAL_ASSIGN(kernel::CgroupRoot root, kernel::CgroupRoot::open(tree));
  return std::unique_ptr<KernelGroups>(
      new KernelGroups(tree, std::move(root), std::move(cgroup_parent)));
}

bool KernelGroups::exists(const std::string& path) const {
  for (const auto& hierarchy : root_.hierarchies())
    if (hierarchy.dir.exists(path)) return true;
  return false;
}

Result<void> KernelGroups::prepare(DesktopId id) {
  for (const std::string& parent : {parent_, lxc::monitor_parent(parent_)}) {
    PANAL_TRY(kernel::Cgroup::create(root_, parent));
    // liblxc insists on making the group itself.
    const std::string path = parent + "/" + kernel_name(id);
    if (!exists(path)) continue;
    if (const auto old = kernel::Cgroup::open(root_, path)) {
      PANAL_ASSIGN(const bool populated, old->populated());
      if (populated) return fail(EBUSY, "cgroup " + path + " has processes");
    }
    PANAL_TRY(remove(path));
  }
  return {};
}

Result<Pidfd> KernelGroups::find_init(DesktopId id) {
  const std::string name = kernel_name(id);
  PANAL_ASSIGN(const kernel::Cgroup group, kernel::Cgroup::open(root_, parent_ + "/" + name));
  PANAL_ASSIGN(const std::vector<pid_t> pids, group.pids());
  for (const pid_t pid : pids) {
    auto held = Pidfd::open(pid);
    if (!held) continue;
    const auto process = kernel::read_process_status(tree_, pid);
    if (!process || !is_container_init(*process)) continue;
    // What was read is its own if it still lives.
    if (const auto ended = held->wait_exit(std::chrono::milliseconds{0}); ended && !*ended)
      return std::move(*held);
  }
  return fail(ENOENT, "no init in the cgroup of " + name);
}

Result<void> KernelGroups::remove(const std::string& path) {
  if (!exists(path)) return {};
  // Made whole first: a start that was cut short has it in some hierarchies only.
  PANAL_ASSIGN(kernel::Cgroup group, kernel::Cgroup::create(root_, path));
  PANAL_TRY(group.kill_all(kKillTimeout));
  return group.destroy(kKillTimeout);
}

Result<void> KernelGroups::destroy(DesktopId id) {
  const std::string name = kernel_name(id);
  // The monitor first: killed, it starts nothing more, and tidies nothing up behind our back.
  auto monitor = remove(lxc::monitor_parent(parent_) + "/" + name);
  auto desktop = remove(parent_ + "/" + name);
  if (!desktop) return desktop;
  return monitor;
}

Result<std::vector<DesktopId>> KernelGroups::list() {
  std::set<DesktopId> ids;
  for (const auto& hierarchy : root_.hierarchies()) {
    for (const std::string& parent : {parent_, lxc::monitor_parent(parent_)}) {
      const auto names = hierarchy.dir.list(parent);
      if (!names) {
        if (names.error().is_gone()) continue;
        return tl::make_unexpected(names.error());
      }
      for (const std::string& name : *names)
        if (const auto id = parse_kernel_name(name)) ids.insert(*id);
    }
  }
  return std::vector<DesktopId>(ids.begin(), ids.end());
}

Result<void> KernelGroups::remove_parents() {
  PANAL_ASSIGN(const std::vector<DesktopId> left, list());
  if (!left.empty())
    return fail(EBUSY, "cgroup " + parent_ + " still has " + kernel_name(left.front()));
  const std::string monitors = lxc::monitor_parent(parent_);
  PANAL_TRY(remove(monitors + "/" + kPivot));
  PANAL_TRY(remove(monitors));
  return remove(parent_);
}

}  // namespace panal::desktop
