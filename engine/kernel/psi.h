#pragma once

#include <string_view>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/model/pressure.h"

namespace panal::kernel {

enum class PressureResource { kCpu, kMemory, kIo };
/// As the kernel's file names have it: "cpu", "memory", "io".
[[nodiscard]] std::string_view to_string(PressureResource resource);

/// Parses `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and the line `full` where there is one.
/// Unknown lines and keys are skipped. Errors: EPROTO when `some` or one of its four keys is absent
/// or no number.
[[nodiscard]] Result<Pressure> parse_psi(std::string_view text);

/// The host's pressure. Errors: ENOENT or EOPNOTSUPP on a kernel without (or booted without) PSI.
[[nodiscard]] Result<Pressure> read_host_pressure(const Tree& tree, PressureResource resource);

/// A group's pressure; `group` is its directory in the v2 hierarchy.
[[nodiscard]] Result<Pressure> read_group_pressure(const Dir& group, PressureResource resource);

/// All three; what the kernel lacks is absent. Errors: EPROTO; ENODEV.
[[nodiscard]] Result<PressureSet> read_host_pressures(const Tree& tree);
[[nodiscard]] Result<PressureSet> read_group_pressures(const Dir& group);

}  // namespace panal::kernel
