#pragma once

#include <algorithm>
#include <string_view>

namespace panal {

/// [A-Za-z0-9._+-]{1,64}: what programs are called, and needs no quoting anywhere.
[[nodiscard]] constexpr bool is_program_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '+' || c == '-';
  });
}

/// The name of a program of an image, from the path of its file as /proc/PID/exe has it; empty
/// for what a user may have put there (home, /tmp, a deleted file) and for odd names.
[[nodiscard]] constexpr std::string_view image_program(std::string_view path) {
  if (!path.starts_with("/usr/") && !path.starts_with("/opt/")) return {};
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return is_program_name(name) ? name : std::string_view();
}

}  // namespace panal
