#include "runtime/desktop/lxc/seccomp_list.h"

#include <fmt/format.h>
#include <linux/btrfs.h>

#include <array>
#include <cerrno>

#include "engine/base/prctl_numbers.h"

namespace panal::desktop::lxc {
namespace {

/// Refused with EPERM, as a kernel refuses somebody without the capability.
constexpr std::array kForbidden = {
    // Other processes' memory and the kernel's own insides.
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "pidfd_getfd",
    "kcmp",
    "lookup_dcookie",
    "syslog",
    // Keyrings are per user id, not per namespace.
    "keyctl",
    "add_key",
    "request_key",
    // Files by handle walk round mounts.
    "open_by_handle_at",
    "fanotify_init",
    "fanotify_mark",
    // The mount API; the agent needs no mount.
    "mount",
    "umount",
    "umount2",
    "pivot_root",
    "setns",
    // The machine.
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "create_module",
    "query_module",
    "get_kernel_syms",
    "swapon",
    "swapoff",
    "reboot",
    "quotactl",
    "quotactl_fd",
    "acct",
    "settimeofday",
    "stime",
    "clock_settime",
    "clock_settime64",
    "clock_adjtime",
    "clock_adjtime64",
    "adjtimex",
    "iopl",
    "ioperm",
    "vm86",
    "vm86old",
    "modify_ldt",
    "migrate_pages",
    "move_pages",
    "nfsservctl",
    "uselib",
    "sysfs",
    "_sysctl",
    "vhangup",
};

/// Refused with ENOSYS, so that programs take their older way.
constexpr std::array kAbsent = {
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "open_tree",
    "mount_setattr",
    "memfd_secret",
    // Its flags are behind a pointer, out of a filter's sight; glibc falls back to clone.
    "clone3",
};

/// AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK: all that a desktop speaks.
constexpr bool is_wanted_family(int family) {
  return family == 1 || family == 2 || family == 10 || family == 16;
}
constexpr int kFamilies = 46;  // AF_MAX of Linux 6.x

}  // namespace

std::string render_seccomp_list(bool browser_sandbox, bool merge) {
  std::string text = "2\ndenylist\n[all]\n";
  for (const char* name : kForbidden) text += fmt::format("{} errno {}\n", name, EPERM);
  for (const char* name : kAbsent) text += fmt::format("{} errno {}\n", name, ENOSYS);
  text += fmt::format("name_to_handle_at errno {}\n", EOPNOTSUPP);
  const auto argument = [&](const char* name, int error, int index, unsigned value, unsigned mask) {
    text += fmt::format("{} errno {} [{},{:#x},SCMP_CMP_MASKED_EQ,{:#x}]\n", name, error, index,
                        value, mask);
  };
  if (!browser_sandbox) {
    constexpr unsigned kNewUser = 0x10000000;  // CLONE_NEWUSER
    argument("clone", EPERM, 0, kNewUser, kNewUser);
    argument("unshare", EPERM, 0, kNewUser, kNewUser);
  }
  constexpr unsigned kWhole = 0xffffffff;
  // Whether a session merges is the host's decision, and merging is a side channel. Where it does,
  // programs that lose by it are kept apart from inside: nobody else can do that.
  for (const unsigned advice : {12U, 13U}) argument("madvise", EINVAL, 2, advice, kWhole);
  if (!merge) argument("prctl", EINVAL, 0, kSetMemoryMerge, kWhole);
  argument("prctl", EINVAL, 0, kGetMemoryMerge, kWhole);
  // Typing into another's terminal: TIOCSTI, TIOCLINUX.
  for (const unsigned request : {0x5412U, 0x541cU}) argument("ioctl", EPERM, 1, request, kWhole);
  // What is in a subvolume of one's own is not counted to the home's or the root's quota group.
  for (const unsigned long request : {BTRFS_IOC_SUBVOL_CREATE, BTRFS_IOC_SUBVOL_CREATE_V2,
                                      BTRFS_IOC_SNAP_CREATE, BTRFS_IOC_SNAP_CREATE_V2})
    argument("ioctl", EPERM, 1, static_cast<unsigned>(request), kWhole);
  for (int family = 0; family < kFamilies; ++family) {
    if (!is_wanted_family(family))
      argument("socket", EAFNOSUPPORT, 0, static_cast<unsigned>(family), kWhole);
  }
  return text;
}

}  // namespace panal::desktop::lxc
