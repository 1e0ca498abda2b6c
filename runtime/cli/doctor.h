#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/profile/profile.h"
#include "runtime/config/config.h"

namespace panal::cli {

/// One line of `panal doctor`.
struct Check {
  enum Verdict {
    kOk,
    kWarning,  ///< Panal runs, with less of something
    kFailed,   ///< desktops cannot be served until this is mended
  };
  std::string name;  ///< "overlayfs", "ports", ...
  Verdict verdict = kOk;
  std::string found;  ///< what was seen
  std::string mend;   ///< what to do; empty where nothing is to be done
};

/// Looks the host over. Changes nothing that lasts: what must be tried (mounts, links) is tried in
/// a child with namespaces of its own. Wants root; without it the tries are left out and the first
/// check says so. Forks, so call it before starting threads. Takes a second or two.
[[nodiscard]] std::vector<Check> run_doctor(const config::Config& config, const Tree& tree);

/// True when no check failed (warnings are fine).
[[nodiscard]] bool healthy(const std::vector<Check>& checks);

// The parts that only look at files, for tests.

/// Kernel limits that a profile asks for, below proc/sys, and the one of open files.
[[nodiscard]] std::vector<Check> check_limits(const profile::Profile& profile, const Tree& tree);
/// Cgroup hierarchies and the controllers desktops need; PSI.
[[nodiscard]] std::vector<Check> check_cgroups(const Tree& tree);
/// The profile of desktops, where the kernel has AppArmor on; nothing where it has not.
[[nodiscard]] std::vector<Check> check_apparmor(const Tree& tree);
/// Memory of the host against the reserve and one desktop.
[[nodiscard]] Check check_memory(const config::Config& config, const Tree& tree);
/// How many desktops the ids suffice for: the configured range, else root's line in both texts.
[[nodiscard]] Check check_ids(const config::Config& config, std::string_view subuid,
                              std::string_view subgid);
/// `free_bytes` and `free_inodes` of the file system of `directory`; `total_inodes` 0 where the
/// file system has no fixed number (btrfs).
[[nodiscard]] Check check_disk(const std::string& directory, std::uint64_t free_bytes,
                               std::uint64_t free_inodes, std::uint64_t total_inodes);
/// `seconds` since 1970. A clock that is years off breaks certificates and logs.
[[nodiscard]] Check check_clock(std::int64_t seconds);
/// Programs of the host that Panal starts, looked for in `path` (like $PATH).
[[nodiscard]] Check check_programs(const std::string& path);

}  // namespace panal::cli
