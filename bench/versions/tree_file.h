#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>

#include "engine/base/result.h"

namespace panal::bench {

/// A regular file of a tree, whole.
struct TreeFile {
  std::string bytes;
  struct stat info{};
};

/// `path` below the directory `root_fd`, no link followed. Nothing for what is absent, a link, or
/// no regular file. Errors: those of open(2) and read(2).
[[nodiscard]] Result<std::optional<TreeFile>> take_file(int root_fd, const std::string& path);

/// Puts a file in that place as dpkg does: written under another name, with owner and mode, then
/// renamed; what had the name before is not written to. Its directory must be there.
[[nodiscard]] Result<void> put_file(int root_fd, const std::string& path, const TreeFile& file);

}  // namespace panal::bench
