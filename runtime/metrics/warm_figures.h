#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "runtime/optimiser/tally.h"

namespace panal::metrics {

/// What panal-warm is run for.
inline constexpr std::array<std::string_view, 3> kWarmActs{"touch", "record", "cool"};

/// What became of the pages of images; counters since this panald began.
struct WarmFigures {
  std::uint64_t budget_bytes = 0;  ///< how many may be held warm, at the last look
  std::uint64_t hot_bytes = 0;     ///< of the versions that are
  std::uint64_t read_bytes = 0;    ///< what was not in the cache
  optimiser::Counts runs;          ///< kWarmActs, that ended well
  optimiser::Counts failures;      ///< kWarmActs
};

}  // namespace panal::metrics
