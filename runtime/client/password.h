#pragma once

#include <string>

#include "engine/base/result.h"

namespace panal::client {

/// The first line of an open file, without its line end. Reads no further than that line.
/// Errors: EINVAL for an empty or over-long (1 KiB) one, those of read(2).
[[nodiscard]] Result<std::string> read_password(int fd, const std::string& from);
/// The first line of the file at `path`.
[[nodiscard]] Result<std::string> read_password_file(const std::string& path);
/// Asks on standard input, with echo off where it is a terminal. The terminal is as before
/// afterwards, also after Ctrl-C (ECANCELED).
[[nodiscard]] Result<std::string> ask_password(const std::string& login);

}  // namespace panal::client
