#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "storage/quota/quota.h"

namespace panal::storage {

/// Whether a kind of quota works in a directory, tried out.
struct QuotaFinding {
  QuotaKind kind = QuotaKind::kNone;
  bool works = false;
  std::string why;  ///< what was seen, or why not and what would mend it; a sentence's part
};

/// Tries each kind that has a limit in `directory`: makes a small directory there, writes past its
/// limits as somebody without privileges, takes it away. project, qgroup, loop, in this order.
/// Takes some 100 ms; needs root. Starts threads and programs.
[[nodiscard]] std::vector<QuotaFinding> probe_quotas(const std::string& directory);
/// One of them.
[[nodiscard]] QuotaFinding probe_quota(QuotaKind kind, const std::string& directory);

/// Whether a tmpfs can be shown under other ids, as layers in memory (QuotaKind::kMemory) must be;
/// `directory` exists. Needs root. Errors: EOPNOTSUPP saying what to use instead. Kernel: 6.3.
[[nodiscard]] Result<void> probe_memory_layer(const std::string& directory);

/// What a node is to use.
struct QuotaChoice {
  QuotaKind kind = QuotaKind::kNone;
  std::string why;  ///< a sentence's part, for people
};

/// `wanted`: none: the first that works. `must_be_apart`: only what can be mounted with other ids
/// (kLoop) will do, because the file system of the directory cannot.
/// Errors: EOPNOTSUPP naming what was asked for and why it does not work.
[[nodiscard]] Result<QuotaChoice> choose_quota(const std::vector<QuotaFinding>& findings,
                                               const std::optional<QuotaKind>& wanted,
                                               const SpaceLimit& limit, bool must_be_apart);

}  // namespace panal::storage
