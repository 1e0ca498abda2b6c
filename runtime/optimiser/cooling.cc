// The hand's thread: memory of who is away is marked as the first to go, before it is short.
#include "runtime/optimiser/memory_cooler.h"
#include "runtime/optimiser/optimiser.h"

namespace panal::optimiser {

namespace {

/// A walk of 100 MiB takes some ms; who has very many mappings waits for the next class.
constexpr std::chrono::milliseconds kLongestCooling{500};

}  // namespace

void Optimiser::cool(Desk& desk) {
  const TakeRequest request{0, std::chrono::steady_clock::now() + kLongestCooling, &desk.wanted};
  const auto cooled = cool_memory(parts_.tree, desk.group, request);
  if (!cooled && !cooled.error().is_gone()) complain("cool", cooled.error());
  const std::lock_guard lock(mutex_);
  // A kernel that cannot is not asked for each desktop.
  if (!cooled && !cooled.error().is_gone()) cools_ = false;
  if (!cooled) return;
  desk.cooled = true;
  ++totals_.cools;
  totals_.cool_cpu_ns += cooled->cpu_ns;
}

}  // namespace panal::optimiser
