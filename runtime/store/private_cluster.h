#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "engine/base/pidfd.h"
#include "engine/base/result.h"
#include "runtime/config/config.h"

namespace panal::store {

/// How to run the database server: what a supervisor execs.
struct ServerProgram {
  std::vector<std::string> argv;         ///< argv[0] is the absolute path
  std::vector<std::string> environment;  ///< the whole environment, NAME=value
  uid_t uid = 0;  ///< setgroups({gid}), setgid, setuid before exec; never root
  gid_t gid = 0;
  std::string directory;  ///< working directory
  std::string log_file;   ///< stdout and stderr, opened for append by root
  int stop_signal = 0;    ///< SIGINT: PostgreSQL's fast shutdown
};

/// The PostgreSQL server that a single machine runs for itself: own OS user, own data directory
/// <state>/postgres, reachable only through the unix socket in <run>/postgres (no TCP). Who may be
/// which role is decided by the peer's OS user: root is owner, admin and node; the broker's user is
/// the broker's role.
///
/// Order for a supervisor: ensure(); start program(); wait_ready(); prepare().
class PrivateCluster {
 public:
  explicit PrivateCluster(config::Config config) : config_(std::move(config)) {}

  /// False when config.database_url names somebody else's server: then nothing here is to be called
  /// but prepare().
  [[nodiscard]] bool needed() const { return config_.database_url.empty(); }

  /// Makes what is missing and is cheap to repeat: the OS users (database and broker: the socket
  /// directory belongs to both), the data directory (initdb, whole or not at all), its settings and
  /// access files, the socket directory, the log file. Needs root; the server may be running.
  /// Errors: EPERM, ENOENT when PostgreSQL is not installed, EACCES when the database user cannot
  /// reach the directories, EPROTO with initdb's last lines.
  [[nodiscard]] Result<void> ensure();

  /// What to exec, after ensure(). A stale postmaster.pid of a crashed server does not matter.
  [[nodiscard]] Result<ServerProgram> program() const;

  /// Forks and execs program(); the caller owns (and reaps) the child. Errors: those of fork,
  /// EPROTO.
  [[nodiscard]] Result<Pidfd> start() const;

  /// Waits until the server answers queries. Errors: ETIMEDOUT with the log's last lines; ECHILD at
  /// once when `server` (may be null) has ended.
  [[nodiscard]] Result<void> wait_ready(std::chrono::milliseconds timeout,
                                        const Pidfd* server = nullptr) const;

  /// Makes the database and applies migrations (store::migrate); returns how many ran. Also for a
  /// server that is not ours (then the database must exist). Errors: those of migrate().
  [[nodiscard]] Result<int> prepare() const;

  /// The last lines of the server's log, printable.
  [[nodiscard]] std::string log_tail() const;

 private:
  [[nodiscard]] std::string data_dir() const { return config_.state_dir + "/postgres"; }
  [[nodiscard]] std::string log_file() const { return config_.state_dir + "/log/postgres.log"; }
  [[nodiscard]] Result<void> init_data_dir(uid_t uid, gid_t gid) const;
  [[nodiscard]] Result<void> write_settings(uid_t uid, gid_t gid) const;

  config::Config config_;
};

/// Makes a system account (no login, no home) unless there is one of that name. Errors: EPERM,
/// EPROTO with useradd's words.
[[nodiscard]] Result<void> ensure_system_user(const std::string& name, const std::string& purpose);

}  // namespace panal::store
