#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/log.h"
#include "engine/base/pidfd.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "runtime/cli/supervisor/backoff.h"
#include "runtime/store/private_cluster.h"

namespace panal::supervisor {

/// One program to keep alive.
struct Service {
  std::string name;  ///< of its pid file and in the log
  /// What to run; asked at each start.
  std::function<Result<store::ServerProgram>()> program;
  /// What must be true before later services start (may block); empty: nothing. An error is tried
  /// again after a pause.
  std::function<Result<void>(const Pidfd&)> ready;
};

/// Keeps services alive and nothing else. Services outlive it: they are in sessions of their own,
/// write to their own log files, and a new supervisor finds them by their pid files.
///
/// Files in `directory`: supervisor.pid and lock (held while it runs), NAME.pid, and NAME.trouble
/// while a service keeps dying ("3 exit code 1"), for `panal up` and `panal status`.
class Supervisor {
 public:
  /// Errors: EBUSY when another one runs.
  [[nodiscard]] static Result<Supervisor> open(const std::string& directory,
                                               std::vector<Service> services, LoggerPtr log);

  /// Adopts what lives, starts the rest in order, restarts what dies, until `stop_fd` is readable.
  [[nodiscard]] Result<void> run(int stop_fd);

 private:
  using Clock = std::chrono::steady_clock;
  struct Kept {
    Service service;
    std::optional<Pidfd> process;
    bool passed = false;  ///< ready() was fine once
    Backoff backoff;
    Clock::time_point started, start_at;
  };

  Supervisor(std::string directory, UniqueFd lock, std::vector<Service> services, LoggerPtr log);
  [[nodiscard]] std::string file(const Kept& kept, const char* ending) const;
  /// Brings services up as far as they can be now; returns when to look again.
  Clock::time_point advance(Clock::time_point now);
  void start(Kept& kept, Clock::time_point now);
  [[nodiscard]] Result<Pidfd> launch(const Kept& kept) const;
  void died(Kept& kept, Clock::time_point now);
  void postpone(Kept& kept, const std::string& why, Clock::time_point now);

  std::string directory_;
  UniqueFd lock_;
  std::vector<Kept> services_;
  LoggerPtr log_;
};

/// Moves a log past `limit_bytes` aside to FILE.1 (one generation).
[[nodiscard]] Result<void> rotate_log(const std::string& file, std::uint64_t limit_bytes);

}  // namespace panal::supervisor
