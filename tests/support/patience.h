#pragma once

#include <algorithm>
#include <cstdlib>

namespace panal {

/// By how much waits of a test last longer on this machine before it gives up, and times that it
/// judges may be longer: 1, or what PANAL_PATIENCE says (tests/vm: an emulated processor is 10 to
/// 20 times slower than a real one).
inline int patience() {
  const char* times = std::getenv("PANAL_PATIENCE");
  return times == nullptr ? 1 : std::clamp(std::atoi(times), 1, 100);
}

}  // namespace panal
