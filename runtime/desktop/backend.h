#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/pidfd.h"
#include "engine/base/result.h"
#include "engine/model/ids.h"
#include "engine/model/limits.h"
#include "runtime/desktop/desktop.h"

namespace panal::desktop {

/// What a container is made of; all paths are in Panal's mount namespace.
struct ContainerSpec {
  DesktopSpec desktop;
  std::string run_dir;     ///< the backend's own files (configuration, seccomp list)
  std::string log_dir;     ///< lxc.log and console.log
  std::string root;        ///< composed root, mounted
  std::string home;        ///< the home, mounted; appears inside at desktop.user.home_path
  std::string shared_dir;  ///< the per-desktop tmpfs; appears inside at agent::kSharedDir
};

/// Makes and starts containers. Thread-safe for different desktops.
class ContainerBackend {
 public:
  virtual ~ContainerBackend() = default;

  /// Starts the container, its limits set and its cgroup made before any code inside runs.
  /// On error its cgroup may be left, with processes in it:
  /// the caller destroys the group. Errors: ECHILD when init ended at
  /// once, ETIMEDOUT, EBUSY while one of the name runs, EPIPE when who was to start it died.
  [[nodiscard]] virtual Result<Pidfd> start(const ContainerSpec& spec) = 0;
  /// The last lines of the container's logs, printable; empty when there are none.
  [[nodiscard]] virtual std::string evidence(const ContainerSpec& spec) = 0;
};

/// The cgroups of desktops, <parent>/d7 in every hierarchy (and the container monitor's beside it).
/// Thread-safe.
class DesktopGroups {
 public:
  virtual ~DesktopGroups() = default;

  /// Makes way for a start: makes the parent and clears what an earlier life left under the name.
  /// Errors: EBUSY while processes live in it.
  [[nodiscard]] virtual Result<void> prepare(DesktopId id) = 0;
  /// The desktop's init: the process in its group that is pid 1 of its namespace.
  /// Errors: ENOENT when there is no group or no init in it.
  [[nodiscard]] virtual Result<Pidfd> find_init(DesktopId id) = 0;
  /// Kills every process of the desktop and of its monitor and removes the groups.
  /// Absent groups are not an error. Errors: EBUSY, ETIMEDOUT when a process does not die.
  [[nodiscard]] virtual Result<void> destroy(DesktopId id) = 0;
  /// Desktops that have a group.
  [[nodiscard]] virtual Result<std::vector<DesktopId>> list() = 0;
};

/// The directories shared with desktops: one small tmpfs each. Thread-safe for different desktops.
class SharedDirs {
 public:
  virtual ~SharedDirs() = default;

  /// Mounts the tmpfs at `path` (made if absent): root's, mode 0755, with nx/ owned by `owner` and
  /// `group` (host ids), mode 0700. What was mounted there before is unmounted first.
  [[nodiscard]] virtual Result<void> make(const std::string& path, std::uint32_t owner,
                                          std::uint32_t group) = 0;
  /// Unmounts it. Nothing mounted is not an error.
  [[nodiscard]] virtual Result<void> remove(const std::string& path) = 0;
};

}  // namespace panal::desktop
