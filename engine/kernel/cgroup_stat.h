#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/model/memory.h"
#include "engine/model/usage.h"

namespace panal::kernel {

/// Adds what memory.stat tells; `version` of its hierarchy (the formats differ). v1 lists the
/// group alone and, as total_, with those below it: the latter is taken. Errors: EPROTO.
[[nodiscard]] Result<void> parse_memory_stat(std::string_view text, int version,
                                             MemoryStatistics& into);
/// Adds memory.events (v2) or memory.oom_control (v1). Errors: EPROTO.
[[nodiscard]] Result<void> parse_memory_events(std::string_view text, int version,
                                               MemoryStatistics& into);
/// Adds cpu.stat. v1 has no `usage_ns` there (see read_group_cpu), and throttling of the group
/// alone. Errors: EPROTO.
[[nodiscard]] Result<void> parse_cpu_stat(std::string_view text, GroupCpu& into);

/// All that the memory controller knows of a group, by six reads. The stat file makes the kernel
/// collect counters of all CPUs: not for every second of 400 groups.
/// Errors: EPROTO; ENODEV when the group is gone.
[[nodiscard]] Result<MemoryStatistics> read_memory(const Dir& group, int version);

/// The charge and nothing else, by one read. Errors: as above.
[[nodiscard]] Result<std::uint64_t> read_memory_usage(const Dir& group, int version);

/// CPU time: `cpuacct` and `cpu` are the group's directories in these v1 hierarchies (`cpu` may be
/// null), or for v2 `cpuacct` is the v2 one. Errors: EPROTO, ENODEV.
[[nodiscard]] Result<GroupCpu> read_group_cpu(const Dir& cpuacct, const Dir* cpu, int version);

/// A file with one number. "max" reads as UINT64_MAX. Errors: EPROTO.
[[nodiscard]] Result<std::uint64_t> read_number(const Dir& dir, const std::string& file);

}  // namespace panal::kernel
