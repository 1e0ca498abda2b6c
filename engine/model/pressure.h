#pragma once

#include <cstdint>
#include <optional>

namespace panal {

/// Share of time lost to waiting for one resource. Kernel: Documentation/accounting/psi.rst, 4.20.
struct PressureLine {
  double avg10_percent = 0;  ///< running average over 10 s, 0..100
  double avg60_percent = 0;
  double avg300_percent = 0;
  std::uint64_t total_us = 0;  ///< since the group (or the host) began

  [[nodiscard]] bool operator==(const PressureLine&) const = default;
};

struct Pressure {
  PressureLine some;                 ///< at least one task waited
  std::optional<PressureLine> full;  ///< all tasks waited; older kernels have none for the CPU

  [[nodiscard]] bool operator==(const Pressure&) const = default;
};

/// Pressure of a group or of the host; absent where the kernel has none.
struct PressureSet {
  std::optional<Pressure> cpu;
  std::optional<Pressure> memory;
  std::optional<Pressure> io;

  [[nodiscard]] bool operator==(const PressureSet&) const = default;
};

}  // namespace panal
