#include "engine/kernel/cgroup.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <thread>

#include "engine/kernel/cgroup_stat.h"
#include "engine/kernel/flat_keyed.h"
#include "engine/kernel/io_stat.h"
#include "engine/kernel/small_text.h"
#include "engine/kernel/text.h"

namespace panal::kernel {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kRetryPause{5};

// Hierarchies a handle keeps a descriptor of; the others matter only when a group is made or
// removed, and 400 desktops should not hold 4,000 descriptors.
bool worth_holding(const CgroupMount& mount) {
  if (mount.version == 2) return true;
  for (const char* controller : {"memory", "cpu", "cpuacct", "pids", "freezer"})
    if (mount.has(controller)) return true;
  return false;
}

Result<void> check_path(const std::string& path) {
  const auto pieces = split(path, '/');
  for (const std::string_view piece : pieces)
    if (piece.empty() || piece == "." || piece == "..")
      return fail(EINVAL, "cgroup path \"" + path + "\": must be relative, without . or ..");
  return {};
}

// Where a v1 cpuset group has no CPUs it takes no process.
Result<void> inherit_cpuset(const Dir& hierarchy, const std::string& parent,
                            const std::string& group) {
  for (const char* knob : {"/cpuset.cpus", "/cpuset.mems"}) {
    PANAL_ASSIGN(const std::string own, hierarchy.read(group + knob));
    if (!words_of(own).empty()) continue;
    PANAL_ASSIGN(const std::string given, hierarchy.read(parent + knob));
    PANAL_TRY(hierarchy.write(group + knob, given));
  }
  return {};
}

// Only what is not passed down yet: above the group we were given systemd writes alone.
Result<void> pass_down_controllers(const Dir& hierarchy, const std::string& group) {
  PANAL_ASSIGN(const std::string available, hierarchy.read(group + "/cgroup.controllers"));
  PANAL_ASSIGN(const std::string passed, hierarchy.read(group + "/cgroup.subtree_control"));
  const std::vector<std::string_view> passed_down = words_of(passed);
  for (const std::string_view controller : words_of(available)) {
    if (controller != "memory" && controller != "cpu" && controller != "pids" && controller != "io")
      continue;
    if (std::find(passed_down.begin(), passed_down.end(), controller) != passed_down.end())
      continue;
    PANAL_TRY(hierarchy.write(group + "/cgroup.subtree_control", "+" + std::string(controller)));
  }
  return {};
}

Result<void> make_in(const CgroupRoot::Hierarchy& hierarchy, const std::string& path) {
  std::string parent = ".";
  for (std::size_t end = 0; end != std::string::npos;) {
    end = path.find('/', end + 1);
    const std::string group = path.substr(0, end);
    if (hierarchy.mount.version == 2) PANAL_TRY(pass_down_controllers(hierarchy.dir, parent));
    if (::mkdirat(hierarchy.dir.fd(), group.c_str(), 0755) != 0 && errno != EEXIST)
      return fail_errno("create cgroup", hierarchy.dir.path() + "/" + group);
    if (hierarchy.mount.has("cpuset") && hierarchy.mount.version == 1)
      PANAL_TRY(inherit_cpuset(hierarchy.dir, parent, group));
    parent = group;
  }
  return {};
}

// Calls `visit` with `top` and every directory below, children first. Vanishing ones are skipped.
Result<void> for_each_below(const Dir& top, const std::function<Result<void>(const Dir&)>& visit) {
  auto names = top.list();
  if (!names) {
    if (names.error().is_gone()) return {};
    return tl::make_unexpected(std::move(names.error()));
  }
  for (const std::string& name : *names) {
    struct stat info{};
    if (::fstatat(top.fd(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISDIR(info.st_mode))
      continue;
    auto child = top.open_dir(name);
    if (!child) continue;
    PANAL_TRY(for_each_below(*child, visit));
  }
  return visit(top);
}

Result<void> remove_tree(const Dir& hierarchy, const std::string& path) {
  auto top = hierarchy.open_dir(path);
  if (!top) {
    if (top.error().is_gone()) return {};
    return tl::make_unexpected(std::move(top.error()));
  }
  PANAL_ASSIGN(const std::vector<std::string> names, top->list());
  for (const std::string& name : names) {
    struct stat info{};
    if (::fstatat(top->fd(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(info.st_mode))
      PANAL_TRY(remove_tree(hierarchy, path + "/" + name));
  }
  if (::unlinkat(hierarchy.fd(), path.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    return fail_errno("remove cgroup", hierarchy.path() + "/" + path);
  return {};
}

Result<void> collect_pids(const Dir& top, std::vector<pid_t>& into) {
  return for_each_below(top, [&](const Dir& group) -> Result<void> {
    auto text = group.read("cgroup.procs");
    if (!text) {
      if (text.error().is_gone()) return {};
      return tl::make_unexpected(std::move(text.error()));
    }
    PANAL_ASSIGN(const std::vector<pid_t> pids, parse_group_pids(*text));
    std::copy_if(pids.begin(), pids.end(), std::back_inserter(into),
                 [](pid_t pid) { return pid != 0; });
    return {};
  });
}

Result<void> thaw_v1(const Dir& top) {
  return for_each_below(top, [](const Dir& group) -> Result<void> {
    auto done = group.write("freezer.state", "THAWED");
    if (!done && !done.error().is_gone()) return done;
    return {};
  });
}

}  // namespace

Result<CgroupRoot> CgroupRoot::open(const Tree& tree) {
  auto shared = std::make_shared<Shared>();
  PANAL_ASSIGN(shared->layout, read_cgroup_layout(tree));
  for (const CgroupMount& mount : shared->layout.mounts) {
    PANAL_ASSIGN(Dir dir, tree.cgroup.open_dir(mount.directory));
    shared->hierarchies.push_back({mount, std::move(dir)});
  }
  CgroupRoot root;
  root.shared_ = std::move(shared);
  return root;
}

Result<Cgroup> Cgroup::create(const CgroupRoot& root, const std::string& path) {
  PANAL_TRY(check_path(path));
  for (const CgroupRoot::Hierarchy& hierarchy : root.hierarchies())
    PANAL_TRY(make_in(hierarchy, path));
  return open(root, path);
}

Result<Cgroup> Cgroup::open(const CgroupRoot& root, const std::string& path) {
  PANAL_TRY(check_path(path));
  Cgroup group(root, path);
  PANAL_TRY(group.open_parts());
  return group;
}

Result<void> Cgroup::open_parts() {
  for (const CgroupRoot::Hierarchy& hierarchy : root_.hierarchies()) {
    if (!worth_holding(hierarchy.mount)) continue;
    auto dir = hierarchy.dir.open_dir(path_);
    if (!dir) {
      if (dir.error().is_gone()) continue;
      return tl::make_unexpected(std::move(dir.error()));
    }
    parts_.push_back({&hierarchy.mount, std::move(*dir)});
  }
  if (parts_.empty()) return fail(ENOENT, "open cgroup " + path_);
  return {};
}

const Cgroup::Part* Cgroup::part_with(std::string_view controller) const {
  for (const Part& part : parts_)
    if (part.mount->has(controller)) return &part;
  return nullptr;
}

const Cgroup::Part* Cgroup::v2_part() const {
  for (const Part& part : parts_)
    if (part.mount->version == 2) return &part;
  return nullptr;
}

Result<void> Cgroup::add(pid_t pid) const {
  const std::string text = std::to_string(pid);
  for (const CgroupRoot::Hierarchy& hierarchy : root_.hierarchies()) {
    auto done = hierarchy.dir.write(path_ + "/cgroup.procs", text);
    if (!done && done.error().code != ENOENT) return done;  // a group may lack hierarchies
  }
  return {};
}

Result<GroupUsage> Cgroup::statistics() const {
  GroupUsage all;
  if (const Part* part = part_with("memory")) {
    const std::lock_guard lock(pressed_->mutex);
    PANAL_ASSIGN(all.memory, read_memory(part->dir, part->mount->version));
    if (pressed_->now)
      all.memory->limit_bytes = pressed_->own_bytes >= UINT64_MAX / 4 ? kUnlimited  // v1's none
                                                                      : pressed_->own_bytes;
  }
  if (const Part* cpuacct = part_with("cpuacct")) {
    const Part* cpu = part_with("cpu");
    PANAL_ASSIGN(all.cpu, read_group_cpu(cpuacct->dir, cpu == nullptr ? nullptr : &cpu->dir, 1));
  } else if (const Part* v2 = v2_part()) {
    PANAL_ASSIGN(all.cpu, read_group_cpu(v2->dir, nullptr, 2));  // every v2 group counts CPU time
  }
  if (const Part* part = part_with("pids")) {
    PANAL_ASSIGN(all.pids, read_number(part->dir, "pids.current"));
  }
  return all;
}

Result<std::uint64_t> Cgroup::memory_usage() const {
  const Part* part = part_with("memory");
  if (part == nullptr) return fail(ENOTSUP, "read memory of " + path_ + ": no memory controller");
  return read_memory_usage(part->dir, part->mount->version);
}

Result<IoStatistics> Cgroup::io() const {
  for (const Part& part : parts_)
    if (part.mount->has("io")) return read_group_io(part.dir, 2);
  for (const CgroupRoot::Hierarchy& hierarchy : root_.hierarchies()) {
    if (!hierarchy.mount.has("blkio")) continue;
    PANAL_ASSIGN(const Dir dir, hierarchy.dir.open_dir(path_));
    return read_group_io(dir, 1);
  }
  return fail(ENOTSUP, "read I/O of " + path_ + ": no controller");
}

Result<Pressure> Cgroup::pressure(PressureResource resource) const {
  const Part* part = v2_part();
  if (part == nullptr) return fail(ENOTSUP, "read pressure of " + path_ + ": no cgroup2 mount");
  return read_group_pressure(part->dir, resource);
}

Result<PressureSet> Cgroup::pressures() const {
  const Part* part = v2_part();
  if (part == nullptr) return PressureSet{};
  return read_group_pressures(part->dir);
}

Result<PsiTrigger> Cgroup::pressure_trigger(PressureResource resource,
                                            const PsiThreshold& threshold) const {
  const Part* part = v2_part();
  if (part == nullptr) return fail(ENOTSUP, "watch pressure of " + path_ + ": no cgroup2 mount");
  return PsiTrigger::open_group(part->dir, resource, threshold);
}

Result<ReclaimResult> Cgroup::reclaim(std::uint64_t bytes) const {
  const Part* part = part_with("memory");
  if (part == nullptr) return fail(ENOTSUP, "reclaim from " + path_ + ": no memory controller");
  if (part->mount->version == 2) return reclaim_v2(part->dir, bytes);
  {
    const std::lock_guard lock(pressed_->mutex);
    // Two at a time would have the second take the first's lowered limit for the group's own.
    if (pressed_->now)
      return fail(EBUSY, "reclaim from " + path_ + ": somebody else does just now");
    PANAL_ASSIGN(pressed_->own_bytes, read_number(part->dir, "memory.limit_in_bytes"));
    pressed_->now = true;
  }
  auto result = press_v1(part->dir, bytes);
  {
    const std::lock_guard lock(pressed_->mutex);
    pressed_->now = false;
    PANAL_TRY(restore_limit_v1(part->dir, pressed_->own_bytes));
  }
  if (result) {
    PANAL_ASSIGN(result->after_bytes, read_memory_usage(part->dir, 1));
  }
  return result;
}

Result<std::vector<pid_t>> Cgroup::pids() const {
  std::vector<pid_t> all;
  for (const Part& part : parts_) PANAL_TRY(collect_pids(part.dir, all));
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

Result<bool> Cgroup::populated() const {
  if (const Part* v2 = v2_part()) {
    auto text = v2->dir.read("cgroup.events");
    if (text) {
      PANAL_ASSIGN(const auto populated, find_flat_keyed(*text, "populated"));
      if (populated.value_or(0) != 0) return true;
      if (parts_.size() == 1) return false;
    } else if (!text.error().is_gone()) {
      return tl::make_unexpected(std::move(text.error()));
    }
  }
  PANAL_ASSIGN(const std::vector<pid_t> left, pids());
  return !left.empty();
}

Result<void> Cgroup::freeze(std::chrono::milliseconds timeout) const {
  const auto deadline = Clock::now() + timeout;
  const auto late = [&] { return fail(ETIMEDOUT, "freeze cgroup " + path_); };
  if (const Part* v2 = v2_part()) {
    PANAL_TRY(v2->dir.write("cgroup.freeze", "1"));
    PANAL_ASSIGN(const UniqueFd events, v2->dir.open_file("cgroup.events", O_RDONLY));
    for (;;) {
      char text[256] = {};
      if (::pread(events.get(), text, sizeof text - 1, 0) < 0)
        return fail_errno("read", v2->dir.path() + "/cgroup.events");
      if (std::string_view(text).find("frozen 1") != std::string_view::npos) return {};
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
      if (left.count() <= 0) return late();
      pollfd change{events.get(), POLLPRI, 0};
      if (::poll(&change, 1, static_cast<int>(left.count())) < 0 && errno != EINTR)
        return fail_errno("poll", v2->dir.path() + "/cgroup.events");
    }
  }
  const Part* v1 = part_with("freezer");
  if (v1 == nullptr) return fail(ENOTSUP, "freeze cgroup " + path_ + ": no freezer");
  for (;;) {
    // Written again each time: a fork during the freeze leaves the group in FREEZING.
    PANAL_TRY(v1->dir.write("freezer.state", "FROZEN"));
    PANAL_ASSIGN(const std::string state, v1->dir.read("freezer.state"));
    if (state.rfind("FROZEN", 0) == 0) return {};
    if (Clock::now() >= deadline) return late();
    std::this_thread::sleep_for(kRetryPause);
  }
}

Result<void> Cgroup::thaw() const {
  if (const Part* v2 = v2_part()) return v2->dir.write("cgroup.freeze", "0");
  const Part* v1 = part_with("freezer");
  if (v1 == nullptr) return fail(ENOTSUP, "thaw cgroup " + path_ + ": no freezer");
  return v1->dir.write("freezer.state", "THAWED");
}

Result<bool> Cgroup::asked_to_freeze() const {
  if (const Part* v2 = v2_part()) {
    PANAL_ASSIGN(const std::string asked, v2->dir.read("cgroup.freeze"));
    return asked.starts_with('1');
  }
  const Part* v1 = part_with("freezer");
  if (v1 == nullptr) return fail(ENOTSUP, "read freezer of cgroup " + path_ + ": no freezer");
  PANAL_ASSIGN(const std::string state, v1->dir.read("freezer.state"));
  return !state.starts_with("THAWED");
}

Result<void> Cgroup::kill_all(std::chrono::milliseconds timeout) const {
  const auto deadline = Clock::now() + timeout;
  for (;;) {
    // A process in a frozen v1 group would not die; in a frozen v2 group it does.
    if (const Part* v1 = part_with("freezer")) PANAL_TRY(thaw_v1(v1->dir));
    const Part* v2 = v2_part();
    if (v2 != nullptr) {
      // Since 5.14. What it did not reach (v1-only processes, older kernels) is killed below.
      auto killed = v2->dir.write("cgroup.kill", "1");
      if (!killed && !killed.error().is_gone()) return killed;
    }
    PANAL_ASSIGN(const std::vector<pid_t> left, pids());
    PANAL_ASSIGN(const bool alive, populated());
    if (left.empty() && !alive) return {};
    for (const pid_t pid : left) (void)::kill(pid, SIGKILL);  // may have ended; the loop looks
    if (Clock::now() >= deadline) {
      std::string names;
      for (std::size_t i = 0; i < left.size() && i < 8; ++i) names += " " + std::to_string(left[i]);
      return fail(ETIMEDOUT, "kill cgroup " + path_ + ": still there:" + names);
    }
    std::this_thread::sleep_for(kRetryPause);
  }
}

Result<void> Cgroup::destroy(std::chrono::milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  parts_.clear();
  for (const CgroupRoot::Hierarchy& hierarchy : root_.hierarchies()) {
    for (;;) {
      auto removed = remove_tree(hierarchy.dir, path_);
      if (removed || removed.error().is_gone()) break;
      // ENOTEMPTY: a group was made below meanwhile.
      const bool again = removed.error().code == EBUSY || removed.error().code == ENOTEMPTY;
      if (!again || Clock::now() >= deadline) return removed;
      std::this_thread::sleep_for(kRetryPause);
    }
  }
  return {};
}

}  // namespace panal::kernel
