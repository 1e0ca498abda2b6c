#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "runtime/cli/shell.h"

namespace panal::cli {

/// The last `lines` lines of a file, as it is. Reads at most the last 256 KiB. No links are
/// followed: the directory may be one a desktop writes to. Errors: those of open(2).
[[nodiscard]] Result<std::string> tail_of(const std::string& file, std::uint32_t lines);

/// Each line of `text`, with control characters escaped.
void print_lines(std::ostream& out, const std::string& text);

/// The end of every file in `directory` under a heading each; with `follow` what is added, for
/// ever.
[[nodiscard]] ExitCode print_logs(Shell& shell, const std::string& directory, std::uint32_t lines,
                                  bool follow);

}  // namespace panal::cli
