#pragma once

#include <optional>
#include <vector>

#include "runtime/cli/doctor.h"
#include "storage/quota/mount_table.h"
#include "storage/quota/probe.h"

namespace panal::cli {

/// What was seen of the places where homes and layers are.
struct StorageFacts {
  std::vector<storage::MountLine> table;
  /// Quotas that were tried there; none: not tried.
  std::optional<std::vector<storage::QuotaFinding>> homes, layers;
  /// Of homes that may hang: whether they answered in time; none: not asked.
  std::optional<Result<void>> homes_answer;
  /// Whether a tmpfs can be shown under other ids; none: not tried.
  std::optional<Result<void>> memory_layers;
};

/// Where homes are and what limits them; whether desktops can fill the disk of database and images.
/// Only looks at the facts.
[[nodiscard]] std::vector<Check> check_storage(const config::Config& config,
                                               const StorageFacts& facts);

/// Finds the facts out (needs root for the trying) and checks them. Homes on another machine are
/// asked by panal-home with a time limit.
[[nodiscard]] std::vector<Check> probe_storage(const config::Config& config, bool privileged);

}  // namespace panal::cli
