#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace panal::agent {

/// "PANAL_MEMORY_KIB=N" where /proc/meminfo (`meminfo`) tells of less memory than the kernel does
/// (`kernel_bytes`): there stands a file of the node's over it (docs/desktop.md), and the session
/// guard is to say the same. Else "".
[[nodiscard]] std::string memory_variable(std::string_view meminfo, std::uint64_t kernel_bytes);

/// What a session's programs are told of how this desktop was set up: of its memory, and where
/// caches go that are to be in memory. `root` for tests.
[[nodiscard]] std::vector<std::string> guest_variables(const std::string& root = "");

}  // namespace panal::agent
