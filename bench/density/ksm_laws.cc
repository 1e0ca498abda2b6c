#include "bench/density/ksm_laws.h"

#include <algorithm>

namespace panal::bench {
namespace {

constexpr std::int64_t kLeastPages = 64;
constexpr std::int64_t kMostPages = 1250;
constexpr std::int64_t kBoost = 300;
constexpr std::int64_t kDecay = -50;
constexpr std::uint64_t kSleepMs = 10;
constexpr std::uint64_t kSleepHostBytes = std::uint64_t{16} << 30;
constexpr std::uint64_t kThresholdPercent = 20;

}  // namespace

KsmSettings fixed_pace(KsmSettings base) {
  base.run = KsmRun::kRunning;
  base.advisor = KsmAdvisor::kNone;
  base.pages_to_scan = 10'000;
  base.sleep_ms = 10;
  return base;
}

KsmSettings advised_pace(KsmSettings base) {
  base.run = KsmRun::kRunning;
  base.advisor = KsmAdvisor::kScanTime;
  base.pages_to_scan = 500;  // where the advisor begins
  base.sleep_ms = 20;
  return base;
}

KsmSettings KsmtunedLaw::decide(KsmSettings base, const Input& input) {
  const std::uint64_t threshold = input.total_bytes / 100 * kThresholdPercent;
  base.advisor = KsmAdvisor::kNone;
  if (input.committed_bytes + threshold < input.total_bytes && input.free_bytes > threshold) {
    base.run = KsmRun::kStopped;
    return base;
  }
  const std::int64_t step = input.free_bytes < threshold ? kBoost : kDecay;
  pages_ = static_cast<std::uint32_t>(
      std::clamp(static_cast<std::int64_t>(pages_) + step, kLeastPages, kMostPages));
  base.run = KsmRun::kRunning;
  base.pages_to_scan = pages_;
  const std::uint64_t total = std::max<std::uint64_t>(1, input.total_bytes >> 20);
  const std::uint64_t sleep = kSleepMs * (kSleepHostBytes >> 20) / total;
  base.sleep_ms = static_cast<std::uint32_t>(std::max(kSleepMs, sleep));
  return base;
}

}  // namespace panal::bench
