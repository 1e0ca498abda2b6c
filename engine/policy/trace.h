#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/snapshot.h"

namespace panal::policy {

/// Counters over time, recorded once and replayed through policies.
///
///   panal-trace 1
///   # any number of comments: what ran, on which kernel
///   time_ms memory_available_bytes ksm_general_profit_bytes
///   0 24117248 -4096
///   1000 24100000 -
///
/// The first line names the format, the next one that is no comment the columns (the first is
/// time_ms, rising); then a row each, of whole numbers, `-` where the kernel has none.
struct Trace {
  std::vector<std::string> columns;
  std::vector<std::vector<std::optional<std::int64_t>>> rows;

  [[nodiscard]] bool operator==(const Trace&) const = default;
};

/// Errors: EPROTO, with the line's number. At most 256 columns and 100,000 rows.
[[nodiscard]] Result<Trace> parse_trace(std::string_view text);

/// Text that parse_trace() reads back as the same trace. `comment`: lines to stand above it.
[[nodiscard]] std::string print_trace(const Trace& trace, std::string_view comment = {});

/// All columns of the host's part, time_ms first, and a row of them. The moment is cut to a
/// millisecond.
[[nodiscard]] std::vector<std::string> host_columns();
[[nodiscard]] std::vector<std::optional<std::int64_t>> host_row(const Snapshot& snapshot);

/// The host's part of each row. Unknown columns are skipped, absent ones leave what they stand for
/// empty. The names are those of the members ("memory_available_bytes", "vm_cow_ksm").
[[nodiscard]] std::vector<Snapshot> snapshots_of(const Trace& trace);

}  // namespace panal::policy
