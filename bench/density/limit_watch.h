#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>

#include "bench/density/kernel_log.h"
#include "bench/density/load.h"
#include "engine/base/tree.h"

namespace panal::bench {

/// Sees to it that no limit of the kernel is hit unnoticed: its log, kills for want of memory, and
/// processes that were refused, from a moment on.
class LimitWatch {
 public:
  [[nodiscard]] static Result<LimitWatch> make(const BenchNode& node, const Load& load);

  /// Reads what came since. `stats`: panald's whole answer. Errors: of the kernel's files.
  [[nodiscard]] Result<void> look(const nlohmann::json& stats);

  /// Processes of the run and desktops that were killed for want of memory so far, by the kernel or
  /// by panald, and whatever the kernel killed of the machine's at large.
  [[nodiscard]] std::uint64_t killed() const;
  /// Of `accounts`, by desktop id: those that do not run any more or lost a process that way.
  [[nodiscard]] static std::set<std::int64_t> fallen(const nlohmann::json& stats,
                                                     const std::vector<Account>& accounts);
  /// kernel_log: alarms by kind with the first lines, or why it cannot be read; killed and what it
  /// is made of; processes_refused: events of pids.max, by group; oom_kills_of_machine.
  [[nodiscard]] nlohmann::json report() const;

 private:
  LimitWatch(Tree tree, const BenchNode& node, const Load& load);
  /// Processes that were refused in a group and in those directly below it.
  [[nodiscard]] std::uint64_t refused_in(const std::string& group) const;
  [[nodiscard]] std::uint64_t kernel_kills() const;

  Tree tree_;
  const BenchNode& node_;
  const Load& load_;
  std::string lab_;
  std::optional<KernelLog> log_;
  std::string no_log_;  ///< why there is none
  std::uint64_t machine_kills_before_ = 0, machine_kills_ = 0;
  std::map<std::string, std::uint64_t> group_kills_;          ///< by group, desktops by "d7"
  std::map<std::string, std::uint64_t> refused_;              ///< processes, by group
  std::uint64_t resort_processes_ = 0, resort_desktops_ = 0;  ///< panald's last resort's
};

}  // namespace panal::bench
