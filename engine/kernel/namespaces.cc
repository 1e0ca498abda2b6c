#include "engine/kernel/namespaces.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <vector>

#include "engine/base/cleanup.h"
#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"
#include "engine/kernel/mountinfo.h"

namespace panal::kernel {
namespace {

std::string ns_dir(const std::string& run_dir) { return run_dir + "/ns"; }
std::string mnt_pin(const std::string& run_dir) { return run_dir + "/ns/mnt"; }
std::string net_pin(const std::string& run_dir) { return run_dir + "/ns/net"; }

bool is_namespace(const std::string& path) {
  struct statfs info{};
  return ::statfs(path.c_str(), &info) == 0 && info.f_type == NSFS_MAGIC;
}

Result<void> mount_it(const char* source, const std::string& target, const char* type,
                      unsigned long flags) {
  if (::mount(source, target.c_str(), type, flags, nullptr) != 0)
    return fail_errno("mount", target);
  return {};
}

Result<UniqueFd> lock_run_dir(const std::string& run_dir) {
  std::error_code error;
  std::filesystem::create_directories(run_dir, error);
  if (error) return fail(error.value(), "create directory " + run_dir);
  const std::string file = run_dir + "/ns.lock";
  UniqueFd lock(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) return fail_errno("open", file);
  while (::flock(lock.get(), LOCK_EX) != 0)
    if (errno != EINTR) return fail_errno("lock", file);
  return lock;
}

// Unmounts every mount stacked on `path`.
Result<void> unmount_all(const std::string& path) {
  for (;;) {
    if (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) continue;
    if (errno == EINVAL || errno == ENOENT) return {};  // no mount (any more)
    return fail_errno("unmount", path);
  }
}

Result<void> release_locked(const std::string& run_dir) {
  PANAL_TRY(unmount_all(mnt_pin(run_dir)));
  PANAL_TRY(unmount_all(net_pin(run_dir)));
  PANAL_TRY(unmount_all(ns_dir(run_dir)));
  for (const std::string& file : {mnt_pin(run_dir), net_pin(run_dir)})
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) return fail_errno("remove", file);
  if (::rmdir(ns_dir(run_dir).c_str()) != 0 && errno != ENOENT)
    return fail_errno("remove", ns_dir(run_dir));
  return {};
}

Result<void> raise_loopback() {
  const UniqueFd control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!control) return fail_errno("open", "control socket");
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", sizeof request.ifr_name - 1);
  if (::ioctl(control.get(), SIOCGIFFLAGS, &request) != 0) return fail_errno("read flags of", "lo");
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (::ioctl(control.get(), SIOCSIFFLAGS, &request) != 0) return fail_errno("raise", "lo");
  return {};
}

// Replaces /sys by the sysfs of the current network namespace. What is mounted directly below the
// old one, with everything below that, is held as detached copies meanwhile.
Result<void> renew_sysfs() {
  PANAL_ASSIGN(const Dir proc_self, Dir::open(std::string(kernel_paths::kProc) + "/self"));
  PANAL_ASSIGN(const std::string table, proc_self.read("mountinfo", std::size_t{16} << 20));
  PANAL_ASSIGN(const std::vector<MountEntry> mounts, parse_mountinfo(table));
  int sys_id = -1;
  for (const MountEntry& entry : mounts)  // the last one covers those before it
    if (entry.mount_point == kernel_paths::kSys) sys_id = entry.id;
  struct Carried {
    std::string point;
    UniqueFd tree;
  };
  std::vector<Carried> carried;
  for (const MountEntry& entry : mounts) {
    if (entry.parent_id != sys_id || entry.mount_point == kernel_paths::kSys) continue;
    UniqueFd tree(::open_tree(AT_FDCWD, entry.mount_point.c_str(),
                              OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
    if (!tree) return fail_errno("copy mount", entry.mount_point);
    carried.push_back({entry.mount_point, std::move(tree)});
  }
  if (sys_id != -1) PANAL_TRY(unmount_all(kernel_paths::kSys));
  PANAL_TRY(mount_it("sysfs", kernel_paths::kSys, "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC));
  for (const Carried& mount : carried) {
    if (::move_mount(mount.tree.get(), "", AT_FDCWD, mount.point.c_str(),
                     MOVE_MOUNT_F_EMPTY_PATH) == 0)
      continue;
    // A directory that only the old network namespace's sysfs had is no loss; cgroups would be.
    if (errno == ENOENT && mount.point.rfind(kernel_paths::kSysFsCgroup, 0) != 0) continue;
    return fail_errno("carry over mount", mount.point);
  }
  return {};
}

// What the child does in its new namespaces.
Result<void> furnish(const std::string& run_dir, std::size_t cpu) {
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(cpu, &only);
  if (::sched_setaffinity(0, sizeof only, &only) != 0) return fail_errno("move", "to a CPU");
  if (::unshare(CLONE_NEWNS | CLONE_NEWNET) != 0)
    return fail_errno("unshare", "mount and network namespace");
  PANAL_TRY(mount_it(nullptr, "/", nullptr, MS_REC | MS_SLAVE));
  PANAL_TRY(raise_loopback());
  PANAL_TRY(renew_sysfs());
  const std::string net_self = std::string(kernel_paths::kProcSelfNs) + "/net";
  return mount_it(net_self.c_str(), net_pin(run_dir), nullptr, MS_BIND);
}

// Reads the child's report: empty when all went well, else its error.
Result<void> read_report(const UniqueFd& pipe) {
  int code = 0;
  std::string text;
  char buffer[512];
  for (;;) {
    const ssize_t got = ::read(pipe.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read", "report of the namespace maker");
    if (got == 0) return fail(EIO, "the namespace maker died without a report");
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.back() == '\0') break;
  }
  if (text.size() < sizeof code) return fail(EIO, "short report of the namespace maker");
  std::memcpy(&code, text.data(), sizeof code);
  if (code == 0) return {};
  return fail(code, text.substr(sizeof code, text.size() - sizeof code - 1));
}

[[noreturn]] void be_child(const std::string& run_dir, std::size_t cpu, const UniqueFd& report,
                           const UniqueFd& stay) {
  std::string text(sizeof(int), '\0');
  if (const auto done = furnish(run_dir, cpu); !done) {
    std::memcpy(text.data(), &done.error().code, sizeof(int));
    text += done.error().context;
  }
  text.push_back('\0');
  if (::write(report.get(), text.data(), text.size()) < 0) ::_exit(1);
  char byte = 0;
  while (::read(stay.get(), &byte, 1) < 0 && errno == EINTR) {
  }
  ::_exit(0);
}

Result<void> touch(const std::string& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail_errno("create", file);
  return {};
}

Result<void> prepare_pins(const std::string& run_dir) {
  const std::string dir = ns_dir(run_dir);
  if (::mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno("create", dir);
  // The kernel refuses to bind a mount namespace's file where it could propagate into that very
  // namespace, so the directory becomes a private mount of its own.
  PANAL_TRY(mount_it(dir.c_str(), dir, nullptr, MS_BIND));
  PANAL_TRY(mount_it(nullptr, dir, nullptr, MS_PRIVATE));
  PANAL_TRY(touch(mnt_pin(run_dir)));
  return touch(net_pin(run_dir));
}

// Makes and pins the pair; the namespaces' numbers come from `cpu`.
Result<void> make_pair_on(std::size_t cpu, const std::string& run_dir) {
  int report[2];
  int stay[2];
  if (::pipe2(report, O_CLOEXEC) != 0) return fail_errno("make", "pipe");
  UniqueFd report_read(report[0]);
  UniqueFd report_write(report[1]);
  if (::pipe2(stay, O_CLOEXEC) != 0) return fail_errno("make", "pipe");
  UniqueFd stay_read(stay[0]);
  UniqueFd stay_write(stay[1]);
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("fork", "namespace maker");
  if (child == 0) {
    stay_write.reset();
    be_child(run_dir, cpu, report_write, stay_read);
  }
  report_write.reset();
  const Cleanup reap([&] {
    stay_write.reset();
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  });
  PANAL_TRY(read_report(report_read));
  const std::string child_ns =
      std::string(kernel_paths::kProc) + "/" + std::to_string(child) + "/ns/";
  PANAL_TRY(mount_it((child_ns + "net").c_str(), net_pin(run_dir), nullptr, MS_BIND));
  return mount_it((child_ns + "mnt").c_str(), mnt_pin(run_dir), nullptr, MS_BIND);
}

Result<void> make_locked(const std::string& run_dir) {
  // A mount namespace can only be pinned from one with a lower number (the kernel's guard against
  // loops), and since Linux 6.18 numbers are dealt out in batches per CPU: a younger namespace may
  // have the lower one, and pinning it fails with EINVAL (seen in one of three labs). On the CPU
  // on which our own was made the numbers do rise, so each is tried.
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return fail_errno("read", "affinity");
  Result<void> made = fail(EINVAL, "no CPU to run on");
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    PANAL_TRY(release_locked(run_dir));
    PANAL_TRY(prepare_pins(run_dir));
    made = make_pair_on(cpu, run_dir);
    if (made || made.error().code != EINVAL) break;
  }
  return made;
}

}  // namespace

bool namespaces_are_pinned(const std::string& run_dir) {
  return is_namespace(mnt_pin(run_dir)) && is_namespace(net_pin(run_dir));
}

Result<void> ensure_pinned_namespaces(const std::string& run_dir) {
  PANAL_ASSIGN(const UniqueFd lock, lock_run_dir(run_dir));
  if (namespaces_are_pinned(run_dir)) return {};
  if (is_namespace(net_pin(run_dir))) {
    // Half made by a caller that died, or we are inside.
    struct stat inside{};
    struct stat own{};
    const std::string own_net = std::string(kernel_paths::kProcSelfNs) + "/net";
    if (::stat(net_pin(run_dir).c_str(), &inside) == 0 && ::stat(own_net.c_str(), &own) == 0 &&
        inside.st_ino == own.st_ino)
      return fail(EXDEV, "pin namespaces below " + run_dir + " from inside of them");
  }
  if (auto made = make_locked(run_dir); !made) {
    (void)release_locked(run_dir);  // the first error is the one to tell
    return prefixed("make Panal's namespaces", std::move(made.error()));
  }
  return {};
}

Result<void> release_pinned_namespaces(const std::string& run_dir) {
  if (::access(run_dir.c_str(), F_OK) != 0) return {};
  PANAL_ASSIGN(const UniqueFd lock, lock_run_dir(run_dir));
  PANAL_TRY(release_locked(run_dir));
  (void)::unlink((run_dir + "/ns.lock").c_str());  // the next caller makes it again
  return {};
}

Result<UniqueFd> open_namespace(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno("open namespace", path);
  struct statfs info{};
  if (::fstatfs(fd.get(), &info) != 0) return fail_errno("look at namespace", path);
  if (info.f_type != NSFS_MAGIC)
    return fail(EINVAL, "open namespace " + path + ": not a namespace");
  return fd;
}

Result<void> enter_mount_namespace(const UniqueFd& ns) {
  if (::setns(ns.get(), CLONE_NEWNS) != 0) return fail_errno("enter", "mount namespace");
  return {};
}

Result<void> enter_net_namespace(const UniqueFd& ns) {
  if (::setns(ns.get(), CLONE_NEWNET) != 0) return fail_errno("enter", "network namespace");
  return {};
}

Result<ScopedNetns> ScopedNetns::enter(const UniqueFd& ns) {
  PANAL_ASSIGN(UniqueFd home, open_namespace(kernel_paths::kProcThreadSelfNsNet));
  PANAL_TRY(enter_net_namespace(ns));
  return ScopedNetns(std::move(home));
}

ScopedNetns::~ScopedNetns() {
  if (home_.valid() && ::setns(home_.get(), CLONE_NEWNET) != 0) std::abort();
}

}  // namespace panal::kernel
