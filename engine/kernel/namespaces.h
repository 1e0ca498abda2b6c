#pragma once

#include <string>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::kernel {

/// Makes, once, the two namespaces that outlive every Panal process, and pins them below
/// `run_dir`: ns/mnt, a mount namespace that receives the caller's later mounts but gives none
/// back (where the caller's mounts are shared; from private ones nothing comes), and ns/net, a
/// network namespace with `lo` up. /sys in the mount namespace belongs to that network
/// namespace, with whatever is mounted below it (the cgroup tree) carried over, because liblxc
/// looks for links there. ns/net is also visible from inside; ns/mnt cannot be.
///
/// Idempotent and safe against other callers (flock on run_dir/ns.lock). What a killed caller
/// left half made is made anew. Creates `run_dir` (0755) where it is absent. Must be called
/// outside the pinned mount namespace, with CAP_SYS_ADMIN, before the process has threads (it
/// forks).
/// Errors: EPERM; EXDEV when called inside the pinned namespace; those of mount(2), named.
[[nodiscard]] Result<void> ensure_pinned_namespaces(const std::string& run_dir);

/// Takes the pins away: the namespaces end with the last process in them. Absent ones are fine.
[[nodiscard]] Result<void> release_pinned_namespaces(const std::string& run_dir);

/// True when both namespaces are pinned below `run_dir`, seen from outside of them.
[[nodiscard]] bool namespaces_are_pinned(const std::string& run_dir);

/// A descriptor of a namespace file (a pin, or /proc/PID/ns/...).
/// Errors: ENOENT; EINVAL when the file is not a namespace (an absent pin is a plain file).
[[nodiscard]] Result<UniqueFd> open_namespace(const std::string& path);

/// Moves the process into a mount namespace; its root and working directory become "/".
/// Only for processes with one thread. Errors: EINVAL with several threads, EPERM.
[[nodiscard]] Result<void> enter_mount_namespace(const UniqueFd& ns);

/// Moves the process (its calling thread) into a network namespace for good. Errors: EPERM.
[[nodiscard]] Result<void> enter_net_namespace(const UniqueFd& ns);

/// The calling thread is in another network namespace for the life of this object, which must
/// end on the same thread. The process aborts when the way back fails: nothing may go on in the
/// wrong network.
class ScopedNetns {
 public:
  [[nodiscard]] static Result<ScopedNetns> enter(const UniqueFd& ns);
  ScopedNetns(ScopedNetns&& other) noexcept = default;
  ScopedNetns& operator=(ScopedNetns&&) = delete;
  ScopedNetns(const ScopedNetns&) = delete;
  ScopedNetns& operator=(const ScopedNetns&) = delete;
  ~ScopedNetns();

 private:
  explicit ScopedNetns(UniqueFd home) noexcept : home_(std::move(home)) {}
  UniqueFd home_;  ///< where the thread came from
};

}  // namespace panal::kernel
