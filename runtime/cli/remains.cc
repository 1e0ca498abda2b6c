#include "runtime/cli/remains.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "engine/base/file_tree.h"
#include "engine/base/log.h"
#include "engine/base/pidfd.h"
#include "engine/kernel/cgroup_layout.h"
#include "engine/kernel/mountinfo.h"
#include "engine/kernel/namespaces.h"
#include "engine/kernel/small_text.h"
#include "engine/kernel/text.h"

namespace panal::cli {
namespace {

namespace fs = std::filesystem;

void collect_groups(const std::string& directory, std::vector<std::string>& out) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (entry.is_directory(error) && !entry.is_symlink(error)) {
      collect_groups(entry.path().string(), out);
    }
  }
  out.push_back(directory);
}

}  // namespace

Remains::Remains(const Tree& tree, const config::Config& config)
    : tree_(tree),
      parents_{config.cgroup_parent, config.cgroup_monitor_parent(), config.cgroup_warm_group()},
      run_dir_(config.run_dir) {
  if (auto held = kernel::open_namespace(config.mount_namespace_file())) {
    mount_namespace_ = std::move(*held);
  }
}

std::vector<std::string> Remains::groups() const {
  std::vector<std::string> out;
  const auto layout = kernel::read_cgroup_layout(tree_);
  if (!layout) return out;
  for (const auto& mount : layout->mounts) {
    for (const auto& parent : parents_) {
      const std::string below = mount.directory == "." ? parent : mount.directory + "/" + parent;
      if (tree_.cgroup.exists(below)) collect_groups(tree_.cgroup.path() + "/" + below, out);
    }
  }
  return out;
}

std::set<pid_t> Remains::processes() const {
  std::set<pid_t> out;
  for (const auto& group : groups()) {
    const auto dir = Dir::open(group);
    if (!dir) continue;
    if (const auto text = dir->read("cgroup.procs")) {
      if (const auto pids = kernel::parse_group_pids(*text)) {
        out.insert(pids->begin(), pids->end());
      }
    }
  }
  struct stat wanted{};
  if (mount_namespace_ && fstat(mount_namespace_.get(), &wanted) == 0) {
    if (const auto names = tree_.proc.list()) {
      for (const auto& name : *names) {
        struct stat seen{};
        const auto pid = kernel::parse_number(name);
        if (!pid) continue;
        if (fstatat(tree_.proc.fd(), (name + "/ns/mnt").c_str(), &seen, 0) != 0) continue;
        if (seen.st_ino == wanted.st_ino && seen.st_dev == wanted.st_dev) {
          out.insert(static_cast<pid_t>(*pid));
        }
      }
    }
  }
  out.erase(getpid());
  out.erase(0);  // a process of another pid namespace
  return out;
}

std::vector<std::string> Remains::mounts() const {
  std::vector<std::string> out;
  const auto text = tree_.proc.read("self/mountinfo", std::size_t{16} << 20U);
  if (!text) return out;
  const auto entries = kernel::parse_mountinfo(*text);
  if (!entries) return out;
  for (const auto& entry : *entries) {
    if (entry.mount_point == run_dir_ || entry.mount_point.starts_with(run_dir_ + "/")) {
      out.push_back(entry.mount_point);
    }
  }
  std::reverse(out.begin(), out.end());
  return out;
}

void Remains::kill_processes(std::chrono::milliseconds timeout) const {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  // Again, because a process that forks between the look and the kill leaves a child.
  for (int round = 0; round < 20; ++round) {
    std::vector<Pidfd> held;
    for (const pid_t pid : processes()) {
      if (auto process = Pidfd::open(pid)) held.push_back(std::move(*process));
    }
    if (held.empty()) return;
    // Frozen ones take the signal when they thaw, which the kernel does for SIGKILL on v2 only.
    for (const auto& group : groups()) {
      const auto dir = Dir::open(group);
      if (!dir) continue;
      if (dir->exists("cgroup.kill")) (void)dir->write("cgroup.kill", "1");
      if (dir->exists("freezer.state")) (void)dir->write("freezer.state", "THAWED");
    }
    for (const auto& process : held) (void)process.send_signal(SIGKILL);
    for (const auto& process : held) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0) return;
      (void)process.wait_exit(left);
    }
  }
}

void Remains::remove() const {
  for (const auto& group : groups()) (void)rmdir(group.c_str());
  for (const auto& mount : mounts()) {
    if (umount2(mount.c_str(), UMOUNT_NOFOLLOW) != 0 && errno == EBUSY) {
      (void)umount2(mount.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH);
    }
  }
  const auto dir = Dir::open(run_dir_);
  if (!dir || !mounts().empty()) return;  // never delete into something still mounted
  if (const auto names = dir->list()) {
    for (const auto& name : *names) (void)remove_tree(dir->fd(), name);
  }
}

std::vector<std::string> Remains::describe() const {
  std::vector<std::string> out;
  for (const pid_t pid : processes()) {
    const auto name = tree_.proc.read(std::to_string(pid) + "/comm", 64);
    std::string text = name ? *name : "?";
    if (!text.empty() && text.back() == '\n') text.pop_back();
    out.push_back(fmt::format("process {} ({})", pid, printable(text, 64)));
  }
  for (const auto& group : groups()) out.push_back("cgroup " + group);
  for (const auto& mount : mounts()) out.push_back("mount " + mount);
  const auto dir = Dir::open(run_dir_);
  if (const auto names = dir ? dir->list() : Result<std::vector<std::string>>()) {
    for (const auto& name : *names) out.push_back("file " + run_dir_ + "/" + printable(name, 200));
  }
  return out;
}

}  // namespace panal::cli
