#pragma once

#include <string>

namespace panal {

/// Where `name` is among the system's programs: in /usr/sbin, /usr/bin, /sbin or /bin, which only
/// root writes to; PATH is not asked. Empty where it is in none of them, or may not be run.
[[nodiscard]] std::string system_program(const std::string& name);

}  // namespace panal
