#pragma once

#include <cstdint>

#include "engine/model/ksm.h"

/// The laws of others, restated from their descriptions to be compared with.
namespace panal::test {

/// ksmtuned, fed with the desktops' memory and always past its threshold: every minute 300 pages
/// more, at most 1250, every 10 ms on a host of 16 GiB and more.
class KsmtunedLaw {
 public:
  [[nodiscard]] KsmSettings decide(double now_seconds);

 private:
  double next_ = 60;
  std::uint32_t pages_ = 64;
};

/// The kernel's scan-time advisor with its defaults: after each pass the batch moves towards the
/// one that would have made the pass last 200 s; 500 to 30000 pages every 20 ms, 70 % of a core.
class AdvisorLaw {
 public:
  [[nodiscard]] KsmSettings decide(double now_seconds, const KsmCounters& counters);

 private:
  double pages_ = 500;
  double pass_began_ = 0;
  std::uint64_t passes_ = 0;
  std::uint64_t cpu_ns_ = 0;
};

[[nodiscard]] KsmSettings fixed_ksm(std::uint32_t pages, std::uint32_t sleep_ms);

}  // namespace panal::test
