#pragma once

#include <cstdint>

#include "engine/model/snapshot.h"

namespace panal::policy {

inline constexpr MonotonicNs kMillisecond = 1'000'000;
inline constexpr MonotonicNs kSecond = 1000 * kMillisecond;
inline constexpr MonotonicNs kMinute = 60 * kSecond;
inline constexpr std::uint64_t kKib = 1024;
inline constexpr std::uint64_t kMib = 1024 * kKib;
inline constexpr std::uint64_t kPageBytes = 4 * kKib;

[[nodiscard]] constexpr double seconds(MonotonicNs span) { return static_cast<double>(span) / 1e9; }
[[nodiscard]] constexpr double real(std::uint64_t value) { return static_cast<double>(value); }

/// A policy's arithmetic is in doubles; counts of bytes and pages leave it whole and never
/// negative.
[[nodiscard]] constexpr std::uint64_t whole(double value) {
  if (!(value > 0)) return 0;
  return value >= 9.2e18 ? static_cast<std::uint64_t>(9.2e18) : static_cast<std::uint64_t>(value);
}

/// How much a counter grew. One that fell began anew (a group made again): no growth.
[[nodiscard]] constexpr std::uint64_t grown(std::uint64_t from, std::uint64_t to) {
  return to > from ? to - from : 0;
}

/// `value` without `part`, 0 at least.
[[nodiscard]] constexpr std::uint64_t less(std::uint64_t value, std::uint64_t part) {
  return value > part ? value - part : 0;
}

}  // namespace panal::policy
