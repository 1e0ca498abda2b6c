#pragma once

#include <cstdint>

#include "engine/model/ksm.h"

/// The laws of others for ksmd's pace, which Panal's governor is compared with. Each takes the
/// machine's settings and changes no more of them than the law does.
namespace panal::bench {

/// A fixed pace of 10,000 pages every 10 ms: ksmd hardly ever rests.
[[nodiscard]] KsmSettings fixed_pace(KsmSettings base);

/// The kernel's scan-time advisor with its defaults: a batch every 20 ms, of 500 to 30,000 pages,
/// so that a pass takes 200 s and 70 % of a core at most. Kernel: ksm.rst, Linux 6.8.
[[nodiscard]] KsmSettings advised_pace(KsmSettings base);

/// ksmtuned's law in our words. Once a minute it compares what the guests take (the sum of their
/// RSS) with the host. Where that fits with a fifth of the memory to spare, and as much is free,
/// KSM stops. Else it runs, with 300 pages more a batch than before while less than that fifth is
/// free, 50 fewer while more is; 64 to 1250 pages. It sleeps 10 ms between batches on a host of
/// 16 GiB, longer on a smaller one, never less.
class KsmtunedLaw {
 public:
  struct Input {
    std::uint64_t total_bytes = 0;      ///< the host's memory
    std::uint64_t committed_bytes = 0;  ///< RSS of what it watches
    std::uint64_t free_bytes = 0;       ///< free, buffers and cache
  };
  static constexpr unsigned kEverySeconds = 60;

  /// Call it once a minute.
  [[nodiscard]] KsmSettings decide(KsmSettings base, const Input& input);

 private:
  std::uint32_t pages_ = 64;
};

}  // namespace panal::bench
