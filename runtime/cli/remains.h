#pragma once

#include <sys/types.h>

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/base/unique_fd.h"
#include "runtime/config/config.h"

namespace panal::cli {

/// What of a node can outlive its programs, and how it is found: by the desktops' cgroup, by the
/// pinned mount namespace, and by the run directory. Never by a program's name: another node's
/// programs (a test's) have the same.
class Remains {
 public:
  /// Holds the pinned mount namespace, where there is one, so that its number stays its own.
  /// `tree` must live longer.
  Remains(const Tree& tree, const config::Config& config);

  /// Processes in the desktops' groups or in the pinned mount namespace, but for this one.
  [[nodiscard]] std::set<pid_t> processes() const;
  /// The desktops' groups, in every hierarchy, deepest first; absolute paths.
  [[nodiscard]] std::vector<std::string> groups() const;
  /// Mount points below the run directory in this mount namespace, last mounted first.
  [[nodiscard]] std::vector<std::string> mounts() const;

  /// Ends all processes() with SIGKILL and waits until they are gone.
  void kill_processes(std::chrono::milliseconds timeout) const;
  /// Removes groups(), then unmounts mounts(), then empties the run directory (what is busy stays).
  void remove() const;
  /// What is left, a line each, for people; empty: nothing.
  [[nodiscard]] std::vector<std::string> describe() const;

 private:
  const Tree& tree_;
  std::vector<std::string> parents_;  ///< of the groups of desktops, of monitors, of warm images
  std::string run_dir_;
  UniqueFd mount_namespace_;
};

}  // namespace panal::cli
