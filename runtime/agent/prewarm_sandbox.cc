// Where Xvfb and nxproxy live while they talk to a hostile desktop.
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>

#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"
#include "engine/kernel/mountinfo.h"
#include "runtime/agent/prewarm_inside.h"

namespace panal::agent::prewarm {
namespace {

Result<void> hide(const char* path, const char* options) {
  if (::access(path, F_OK) != 0) return {};
  if (::mount("panal-prewarm", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) != 0) {
    return fail_errno("hide", path);
  }
  return {};
}

/// Homes and layers in a file: a copy of their mount keeps the file locked, so that a desktop that
/// starts anew would find its home in use for as long as we are here.
Result<void> let_go_of_files() {
  constexpr std::size_t kMostBytes = std::size_t{16} << 20U;
  PANAL_ASSIGN(const Dir proc, Dir::open(kernel_paths::kProc));
  PANAL_ASSIGN(const std::string table, proc.read("self/mountinfo", kMostBytes));
  PANAL_ASSIGN(const auto mounts, kernel::parse_mountinfo(table));
  const std::string loop = std::string(kernel_paths::kDev) + "/loop";
  // Last mounted first: what is on top of others, or in them. Not what the host itself runs from:
  // that is in use, and stays.
  for (auto entry = mounts.rbegin(); entry != mounts.rend(); ++entry) {
    if (entry->source.starts_with(loop))
      (void)::umount2(entry->mount_point.c_str(), UMOUNT_NOFOLLOW);
  }
  return {};
}

Result<void> limit(__rlimit_resource resource, rlim_t most, std::string_view what) {
  const rlimit value{.rlim_cur = most, .rlim_max = most};
  if (::setrlimit(resource, &value) != 0) return fail_errno("limit", what);
  return {};
}

}  // namespace

Result<void> enter_namespaces() {
  if (::unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS) != 0) {
    return fail_errno("make the pre-warmer's namespaces");
  }
  if (::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return fail_errno("make mounts private");
  }
  return let_go_of_files();
}

Result<void> confine(uid_t uid, gid_t gid) {
  PANAL_TRY(hide("/tmp", "mode=1777,size=24m,nr_inodes=256"));
  for (const char* path : {"/run", "/home", "/root", "/var/lib/panal", "/srv", "/mnt", "/media"}) {
    PANAL_TRY(hide(path, "mode=0755,size=4k,nr_inodes=4"));
  }
  if (::mount("proc", kernel_paths::kProc, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) !=
      0) {
    return fail_errno("mount a proc of its own");
  }
  PANAL_TRY(limit(RLIMIT_CORE, 0, "core files"));
  PANAL_TRY(limit(RLIMIT_NOFILE, 256, "open files"));
  PANAL_TRY(limit(RLIMIT_FSIZE, rlim_t{16} << 20U, "file sizes"));
  PANAL_TRY(limit(RLIMIT_AS, rlim_t{768} << 20U, "memory"));
  PANAL_TRY(limit(RLIMIT_NPROC, 64, "processes"));
  if (::setgroups(0, nullptr) != 0 || ::setresgid(gid, gid, gid) != 0 ||
      ::setresuid(uid, uid, uid) != 0) {
    return fail_errno("become the pre-warmer's user");
  }
  // The change of ids cleared it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("set no_new_privs");
  return forbid_calls();
}

Result<void> forbid_calls() {
  const scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ALLOW);
  if (filter == nullptr) return fail(ENOMEM, "make system call filter");
  constexpr std::array kForbidden = {SCMP_SYS(mount),
                                     SCMP_SYS(umount2),
                                     SCMP_SYS(pivot_root),
                                     SCMP_SYS(chroot),
                                     SCMP_SYS(unshare),
                                     SCMP_SYS(setns),
                                     SCMP_SYS(open_tree),
                                     SCMP_SYS(move_mount),
                                     SCMP_SYS(fsopen),
                                     SCMP_SYS(fsconfig),
                                     SCMP_SYS(fsmount),
                                     SCMP_SYS(mount_setattr),
                                     SCMP_SYS(ptrace),
                                     SCMP_SYS(process_vm_readv),
                                     SCMP_SYS(process_vm_writev),
                                     SCMP_SYS(bpf),
                                     SCMP_SYS(perf_event_open),
                                     SCMP_SYS(userfaultfd),
                                     SCMP_SYS(io_uring_setup),
                                     SCMP_SYS(io_uring_enter),
                                     SCMP_SYS(io_uring_register),
                                     SCMP_SYS(keyctl),
                                     SCMP_SYS(add_key),
                                     SCMP_SYS(request_key),
                                     SCMP_SYS(open_by_handle_at),
                                     SCMP_SYS(name_to_handle_at),
                                     SCMP_SYS(kexec_load),
                                     SCMP_SYS(init_module),
                                     SCMP_SYS(finit_module),
                                     SCMP_SYS(swapon),
                                     SCMP_SYS(reboot)};
  int result = 0;
  for (const int call : kForbidden) {
    if (result == 0) result = ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 0);
  }
  // Unix sockets are all that is needed; the network namespace is empty besides.
  if (result == 0) {
    result = ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                SCMP_A0(SCMP_CMP_NE, 1 /* AF_UNIX */));
  }
  if (result == 0) result = ::seccomp_load(filter);
  ::seccomp_release(filter);
  if (result != 0) return fail(-result, "load system call filter");
  return {};
}

}  // namespace panal::agent::prewarm
