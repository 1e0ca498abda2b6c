#pragma once

#include <sys/types.h>

#include <optional>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

/// Kernel texts that are too small for a file each.
namespace panal::kernel {

/// The chosen one of a list of choices, "lzo [lzo-rle] zstd" (sysfs's way); nothing where none is
/// in brackets.
[[nodiscard]] std::optional<std::string_view> chosen_of(std::string_view text);

/// The process numbers of cgroup.procs, as the reader's pid namespace has them: 0 for each process
/// outside of it. Errors: EPROTO.
/// Kernel: Documentation/admin-guide/cgroup-v2.rst, cgroup.procs.
[[nodiscard]] Result<std::vector<pid_t>> parse_group_pids(std::string_view text);

/// Whether /proc/PID/cgroup names `group` (a path below the hierarchies' roots, without the slash
/// before it) or one below it in any hierarchy; not one whose name only begins alike.
/// cgroups(7).
[[nodiscard]] bool is_of_group(std::string_view text, std::string_view group);

/// The process behind a pidfd by its /proc/self/fdinfo entry (proc(5)); nothing once it is reaped.
/// Errors: EINVAL for the entry of another kind of descriptor; EPROTO.
[[nodiscard]] Result<std::optional<pid_t>> parse_pidfd_entry(std::string_view text);

}  // namespace panal::kernel
