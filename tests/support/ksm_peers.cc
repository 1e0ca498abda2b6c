#include "tests/support/ksm_peers.h"

#include <algorithm>

namespace panal::test {

KsmSettings fixed_ksm(std::uint32_t pages, std::uint32_t sleep_ms) {
  KsmSettings settings;
  settings.run = KsmRun::kRunning;
  settings.use_zero_pages = true;
  settings.pages_to_scan = pages;
  settings.sleep_ms = sleep_ms;
  return settings;
}

KsmSettings KsmtunedLaw::decide(double now_seconds) {
  while (now_seconds >= next_) {
    pages_ = std::min(pages_ + 300, 1250U);
    next_ += 60;
  }
  return fixed_ksm(pages_, 10);
}

KsmSettings AdvisorLaw::decide(double now_seconds, const KsmCounters& counters) {
  if (counters.full_scans_total > passes_) {
    const double lasted = std::max(0.001, now_seconds - pass_began_);
    const double cpu = static_cast<double>(counters.ksmd_cpu_ns.value_or(0) - cpu_ns_) / 1e9;
    const double wanted = pages_ * lasted / 200;
    pages_ = 0.7 * pages_ + 0.3 * wanted;
    if (cpu > 0) pages_ = std::min(pages_, pages_ * 0.7 * 200 / cpu);
    pages_ = std::clamp(pages_, 500.0, 30000.0);
    pass_began_ = now_seconds;
    passes_ = counters.full_scans_total;
    cpu_ns_ = counters.ksmd_cpu_ns.value_or(0);
  }
  return fixed_ksm(static_cast<std::uint32_t>(pages_), 20);
}

}  // namespace panal::test
