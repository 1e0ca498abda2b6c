#pragma once

#include <ostream>
#include <string>

#include "engine/base/result.h"

namespace panal::cli {

/// The first line of `file` ("-": standard input). Errors: EINVAL when it is empty or too long.
[[nodiscard]] Result<std::string> read_password_file(const std::string& file);
/// Asks twice on the terminal without echo. Errors: EINVAL when standard input is no terminal, when
/// the two differ, or when it is empty.
[[nodiscard]] Result<std::string> ask_password(std::ostream& prompt, const std::string& login);
/// A new one with 80 random bits, easy to type: "k7mq-2xhd-9fwa-c3rt".
[[nodiscard]] Result<std::string> generate_password();

}  // namespace panal::cli
