#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/model/ids.h"
#include "engine/model/ksm.h"
#include "engine/model/memory.h"
#include "engine/model/pressure.h"
#include "engine/model/session.h"
#include "engine/model/usage.h"

namespace panal {

/// Nanoseconds of CLOCK_MONOTONIC. Policies get time this way and never ask a clock.
using MonotonicNs = std::int64_t;

/// What a group of processes uses. A value is absent when its controller is.
struct GroupUsage {
  std::optional<MemoryStatistics> memory;
  std::optional<GroupCpu> cpu;
  std::optional<IoStatistics> io;
  std::optional<std::uint64_t> pids;  ///< processes and threads

  [[nodiscard]] bool operator==(const GroupUsage&) const = default;
};

/// What the processes of a group add up to. Dear to read, so rarely: it has a time of its own.
struct GroupProcesses {
  MonotonicNs at_ns = 0;
  std::uint32_t processes = 0;
  SmapsRollup maps;
  KsmProcess ksm;

  [[nodiscard]] bool operator==(const GroupProcesses&) const = default;
};

/// One desktop at one moment.
struct GroupSnapshot {
  DesktopId desktop = 0;
  MonotonicNs at_ns = 0;  ///< when it was read (a round robin: not when the snapshot was)
  SessionClass session = SessionClass::kActive;
  MonotonicNs session_since_ns = 0;  ///< when it came into this class
  GroupUsage usage;
  PressureSet pressure;
  std::optional<GroupProcesses> processes;

  [[nodiscard]] bool operator==(const GroupSnapshot&) const = default;
};

/// The host and its desktops at one moment: all that a policy gets to see.
struct Snapshot {
  MonotonicNs at_ns = 0;
  HostMemory memory;
  VmCounters vm;
  CpuTimes cpu;
  PressureSet pressure;
  std::optional<KsmCounters> ksm;  ///< absent on a kernel without KSM, like the settings
  std::optional<KsmSettings> ksm_settings;
  std::vector<SwapDevice> swaps;
  ZramStatistics zram;                ///< all devices
  std::vector<GroupSnapshot> groups;  ///< by desktop, ascending

  [[nodiscard]] bool operator==(const Snapshot&) const = default;
};

}  // namespace panal
