#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bench/density/load.h"
#include "engine/base/tree.h"

namespace panal::bench {

/// What runs in one desktop: processes by program_name().
using Programs = std::map<std::string, std::set<pid_t>, std::less<>>;
/// By desktop id.
using ProgramsByDesktop = std::map<std::int64_t, Programs>;

/// What a process of this comm counts as: GLib programs begin as "thunar" and call themselves
/// "Thunar" a moment later, and the one that was asked to start may hand over to another.
[[nodiscard]] std::string program_name(std::string_view comm);

/// Whether a user misses a program of this name when it is gone: session, window manager, panel,
/// file manager, editor, terminal and what runs in it. Helpers come and go.
[[nodiscard]] bool is_missed(std::string_view name);

/// The names of `before` that are not intact in `after`: of none of whose processes there is one
/// left. A program that was started again has lost what the user had in it; nxagent alone may go
/// on in another process, as it resumes in a copy of itself. A name without processes is intact
/// where there is any.
struct LostPrograms {
  std::vector<std::string> missed;  ///< see is_missed()
  std::vector<std::string> others;
};
[[nodiscard]] LostPrograms lost_programs(const Programs& before, const Programs& after);

/// The names that a user misses and that at least half of the desktops had, without processes: what
/// one that never had its panel lacks.
[[nodiscard]] Programs expected_programs(const ProgramsByDesktop& desktops);

/// What runs in these desktops now; an empty set where one does not run.
[[nodiscard]] ProgramsByDesktop programs_of(const Tree& tree, const BenchNode& node,
                                            const Load& load, const std::vector<Account>& accounts);

}  // namespace panal::bench
