#pragma once

#include <chrono>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/log.h"
#include "engine/base/pidfd.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "engine/model/ids.h"
#include "netconfine/network.h"
#include "runtime/config/config.h"
#include "runtime/desktop/backend.h"
#include "runtime/desktop/desktop.h"
#include "storage/compose/backend.h"
#include "storage/home/home_store.h"

namespace panal::desktop {

/// Told before each step of a start begins, in the calling thread: "compose", "home", "shared",
/// "cgroup", "container", "network", "agent".
using Progress = std::function<void(std::string_view step)>;

/// What a desktop's life is put together from.
struct Parts {
  storage::ComposeBackend& compose;
  storage::HomeStore& homes;
  netconfine::Network& network;
  ContainerBackend& containers;
  DesktopGroups& groups;
  SharedDirs& shared;
  AgentGate& agents;
  LoggerPtr log;
};

/// A desktop found on this node, whoever started it.
struct Trace {
  DesktopId id = 0;
  bool running = false;  ///< its init lives; false: only leftovers (groups, mounts, directories)
};

/// Starts, stops and finds desktops on this node.
///
/// The caller is in Panal's mount namespace. Calls for different desktops may run at the same time;
/// calls for one desktop must not.
class Lifecycle {
 public:
  /// All that `parts` names, and `config`, must outlive it.
  Lifecycle(Parts parts, const config::Config& config);

  /// Runs every step: blocks for up to config.start_timeout_seconds plus the mounts.
  /// On error all that was done is undone. A spawner that dies over it says nothing about the
  /// desktop: the whole start is then tried once more.
  [[nodiscard]] tl::expected<RunningDesktop, StepError> start(const DesktopSpec& spec,
                                                              const Progress& progress = {});

  /// Asks the agent to power off, waits `grace` for init, kills what is left, and removes all:
  /// link, mounts, groups, run directory; a volatile upper is discarded, home and logs are kept.
  /// Stopping a dead, half-started or absent desktop cleans what there is and succeeds.
  /// Every step is tried even if an earlier one failed; the first error is returned.
  [[nodiscard]] Result<void> stop(const DesktopSpec& spec, std::chrono::milliseconds grace);

  /// Takes over a desktop that runs already (panald was restarted): finds its init by cgroup and
  /// listens for its agent again; the agent reconnects by itself, so no waiting here.
  /// Errors: ENOENT when it does not run.
  [[nodiscard]] Result<RunningDesktop> adopt(const DesktopSpec& spec);
  /// Whether and with whom a desktop that runs was started to share its memory.
  [[nodiscard]] MemorySharing was_sharing(DesktopId id) const;
  /// By which backend the root of a desktop that runs was made; "" when nobody wrote it down.
  [[nodiscard]] std::string was_composed_by(DesktopId id) const;

  /// Every desktop of which this node has a trace: cgroups and run directories.
  [[nodiscard]] Result<std::vector<Trace>> find() const;

  /// Removes whatever is left of a desktop about which nothing else is known, running or not.
  /// Its upper is kept (a volatile one is discarded by the next start).
  [[nodiscard]] Result<void> discard_leftovers(DesktopId id);

  /// After a restart: discards the traces, links, home locks and what is left of the roots of all
  /// desktops not in `live`.
  [[nodiscard]] Result<void> recover(const std::set<DesktopId>& live);

  /// Connects the socket its nxagent listens on. `owner` is the session user's uid on the host
  /// (ids.first + uid). The path is the desktop's to write, so nothing in it is followed or
  /// trusted: opened O_PATH beneath the tmpfs without links, type and owner checked, connected
  /// through the descriptor; non-blocking. Errors: ENOENT, ECONNREFUSED, EPERM with what was found
  /// there.
  [[nodiscard]] Result<UniqueFd> open_nx_socket(DesktopId id, std::uint32_t owner) const;

  /// The network namespace of a desktop whose init lives. Errors: ESRCH.
  [[nodiscard]] static Result<UniqueFd> network_of(const Pidfd& init);

  /// Where the shared tmpfs of a desktop is: desktop_run_dir(id)/host.
  [[nodiscard]] std::string shared_dir(DesktopId id) const;

 private:
  [[nodiscard]] tl::expected<RunningDesktop, StepError> start_once(const DesktopSpec& spec,
                                                                   const Progress& progress);
  [[nodiscard]] Result<void> remove_all(const DesktopSpec& spec, bool has_home);
  [[nodiscard]] Result<void> recover_roots(const std::set<std::string>& live);
  [[nodiscard]] Result<DesktopSpec> saved_of(DesktopId id) const;

  Parts parts_;
  const config::Config& config_;
};

}  // namespace panal::desktop
