#include "storage/warm/budget.h"

#include <algorithm>

namespace panal::storage {

std::uint64_t warm_budget(const WarmMemory& memory, const WarmLimits& limits) {
  if (memory.waited_percent >= limits.waited_percent) return 0;
  if (memory.available <= memory.reserve) return 0;
  const double usable = static_cast<double>(memory.available - memory.reserve);
  const auto share = static_cast<std::uint64_t>(usable * std::clamp(limits.share, 0.0, 1.0));
  const std::uint64_t budget = std::min(limits.most_bytes, share);
  return budget < limits.least_bytes ? 0 : budget;
}

}  // namespace panal::storage
