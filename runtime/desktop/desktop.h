#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/pidfd.h"
#include "engine/base/result.h"
#include "engine/model/ids.h"
#include "engine/model/limits.h"
#include "runtime/desktop/guest.h"

namespace panal::desktop {

/// The person inside: comes from the store; the image needs no such account.
struct UserRecord {
  std::string tenant;
  std::string login;
  std::uint32_t uid = 1000;
  std::uint32_t gid = 1000;
  std::vector<std::pair<std::string, std::uint32_t>> groups;  ///< supplementary
  std::string home_path;                                      ///< inside, e.g. /home/alice
  std::string shell = "/bin/bash";
  std::string lang = "C.UTF-8";
  std::string timezone = "Etc/UTC";
  std::string keyboard = "pc105/us";
};

/// How a desktop's processes offer their memory for sharing. Both are fixed at exec and inherited
/// by everything inside: the kernel lets nobody else change them later.
struct MemorySharing {
  /// Anonymous pages may be merged with equal ones of other desktops (prctl(2)
  /// PR_SET_MEMORY_MERGE, Linux 6.4; on an older one a start fails with ENOTSUP). Merging is
  /// observable: docs/threat-model.md.
  bool merge = false;
  /// Programs get the same addresses in each desktop, so that pages full of pointers are equal
  /// (personality(2) ADDR_NO_RANDOMIZE). Weakens exploit mitigation inside.
  bool fixed_addresses = false;
  /// The trust level it was started under: with its tenant the merge domain it belongs to.
  std::string trust = {};
  /// Programs that stay out of merging, by the names of their files; only where `merge`. The agent
  /// and the session guard see to it (docs/agent.md).
  std::vector<std::string> apart = {};

  [[nodiscard]] bool operator==(const MemorySharing&) const = default;
};

/// Everything needed to start a desktop on this node.
struct DesktopSpec {
  DesktopId id = 0;
  std::string name;          ///< user-chosen, for people only
  std::string image;         ///< its name
  std::string version_root;  ///< the image version's tree
  std::vector<std::string> session;
  bool browser_sandbox = false;
  bool persistent = false;        ///< keep the upper
  std::string home;               ///< name of the home in the home store
  bool home_leased = false;       ///< the database has given the home to this desktop
  std::string home_evicted = {};  ///< who had it and let the lease expire; empty: nobody
  UserRecord user;
  IdRange ids;
  Limits limits;
  MemorySharing sharing;
  GuestSettings guest;
  std::string compose = {};              ///< the backend its root is made by; empty: overlay
  std::vector<std::string> layers = {};  ///< trees over the version's, the lowest first
};

/// A desktop that runs: its init, held so that it cannot be mistaken for another.
struct RunningDesktop {
  DesktopId id = 0;
  Pidfd init;
};

/// Which step failed, why, and the log lines that prove it.
struct StepError {
  std::string step;  ///< "compose", "home", "shared", "cgroup", "container", "network", "agent"
  Error cause;
  std::string evidence;  ///< last lines of the log concerned; printable

  [[nodiscard]] std::string reason() const;  ///< one sentence for the store and for people
};

/// panald's side of the agent, as the lifecycle needs it (implemented in runtime/node).
class AgentGate {
 public:
  virtual ~AgentGate() = default;
  /// Listens at `shared_dir`/agent.sock for the agent of this desktop.
  [[nodiscard]] virtual Result<void> listen(const DesktopSpec& spec,
                                            const std::string& shared_dir) = 0;
  /// Waits for its hello and answers welcome. Errors: ETIMEDOUT, ECHILD once `init` has ended.
  [[nodiscard]] virtual Result<void> wait_ready(DesktopId id, const Pidfd& init,
                                                std::chrono::milliseconds timeout) = 0;
  /// Asks for an orderly end; does not wait. Errors: ENOTCONN.
  [[nodiscard]] virtual Result<void> poweroff(DesktopId id, std::chrono::milliseconds grace) = 0;
  /// Stops listening and drops the connection.
  virtual void close(DesktopId id) = 0;
};

}  // namespace panal::desktop
