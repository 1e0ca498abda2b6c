#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "runtime/optimiser/tally.h"

namespace panal::metrics {

/// How audits of the desktops' network end.
inline constexpr std::array<std::string_view, 3> kAuditOutcomes{"as_meant", "repaired", "cut_off"};
/// What policies with `log` have written down.
inline constexpr std::array<std::string_view, 2> kLoggedVerdicts{"allowed", "denied"};

/// What became of the desktops' packets; counters since this panald began.
struct NetFigures {
  std::map<std::string, std::uint64_t> drops;  ///< packets by reason, at the last look
  optimiser::Counts audits;                    ///< kAuditOutcomes
  std::uint64_t drifts = 0;                    ///< places that were other than was meant
  bool cut_off = false;                        ///< nobody has network: it cannot be repaired
  optimiser::Counts logged;                    ///< kLoggedVerdicts
  std::uint64_t log_lost = 0;                  ///< times that the log was too quick for us
};

}  // namespace panal::metrics
