#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/policy/last_resort.h"
#include "runtime/optimiser/tally.h"

namespace panal::optimiser {

/// to_string(LastResort), but for none.
inline constexpr std::array<std::string_view, 5> kResortSteps{"reclaim", "freeze", "refuse",
                                                              "kill_process", "kill_desktop"};

/// What the last resort last saw and all it did, as plain values: a copy of what it holds.
struct ResortFigures {
  policy::Danger danger = policy::Danger::kNone;
  bool closed = false;                ///< no desktop may start
  std::uint64_t available_bytes = 0;  ///< where the least is left
  std::uint64_t reserve_bytes = 0;    ///< of that place
  std::size_t fenced = 0;             ///< desktops held by a limit to save the others
  std::uint64_t fences = 0;           ///< times one was
  Counts steps;                       ///< decided: kResortSteps
  std::uint64_t killed_processes = 0, killed_desktops = 0;
  std::uint64_t looks = 0, look_cpu_ns = 0;
  std::uint64_t events = 0;  ///< the kernel said that desktops wait for memory
  std::uint64_t errors = 0;
};

}  // namespace panal::optimiser
