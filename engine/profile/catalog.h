#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace panal::profile {

/// A kernel setting below proc/sys that a profile may name. Only settings that hold one whole
/// number and change nothing else when written are here: what is saved of them can be put back
/// exactly.
struct Sysctl {
  const char* name;  ///< as sysctl(8) writes it
  std::uint64_t least;
  std::uint64_t most;  ///< what the kernel takes (Documentation/admin-guide/sysctl, 6.18)
  const char* why;     ///< what runs out without it, in a few words
  /// Since Linux 6.14 each pid namespace has its own; elsewhere it is the machine's.
  bool per_pid_namespace = false;
};

[[nodiscard]] std::span<const Sysctl> sysctls();
/// nullptr where there is none.
[[nodiscard]] const Sysctl* find_sysctl(std::string_view name);

}  // namespace panal::profile
