#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/base/log.h"
#include "engine/base/pidfd.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "runtime/desktop/lxc/spawner.h"

namespace panal::desktop::lxc {

struct SpawnerOptions {
  std::string program;            ///< panal-spawner
  std::string mount_namespace;    ///< namespace file it enters; empty: the caller's
  std::string network_namespace;  ///< namespace file it enters; empty: the caller's
  int spawners = 1;               ///< starts that run at the same time; one a core is right
  int timeout_ms = 30000;         ///< for one start; a spawner that takes longer is killed
};

/// panald's spawners. A died one is replaced when it is next needed, and what it was starting is
/// reported as failed (what of it there is, its cgroup holds). Thread-safe.
/// The containers outlive the spawners and the pool.
class SpawnerPool {
 public:
  /// Starts all of them, so that a wrong path shows at once. Errors: ENOENT, EPERM.
  [[nodiscard]] static Result<std::unique_ptr<SpawnerPool>> open(SpawnerOptions options,
                                                                 LoggerPtr log);
  ~SpawnerPool();

  /// Waits for a free spawner and for the container. Errors: as request_start().
  [[nodiscard]] Result<Pidfd> start(const StartRequest& request);

  /// Pids of the living spawners: for status and tests.
  [[nodiscard]] std::vector<pid_t> pids() const;

 private:
  struct Spawner {
    pid_t pid = -1;
    UniqueFd socket;
    bool busy = false;
  };

  SpawnerPool(SpawnerOptions options, LoggerPtr log);
  [[nodiscard]] Result<void> launch(Spawner& spawner) const;
  static void end(Spawner& spawner);

  SpawnerOptions options_;
  LoggerPtr log_;
  mutable std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<Spawner> spawners_;
};

}  // namespace panal::desktop::lxc
