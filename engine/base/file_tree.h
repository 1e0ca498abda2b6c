#pragma once

#include <sys/stat.h>

#include <functional>
#include <string>

#include "engine/base/result.h"

namespace panal {

/// Deletes `name` below the directory `dir_fd` and everything in it, without following links and
/// with at most a few dozen descriptors however deep a hostile tree is (too deep directories are
/// moved up before they are deleted). Nothing there is not an error.
/// Errors: EBUSY for a mount inside, EIO, EACCES, ...
[[nodiscard]] Result<void> remove_tree(int dir_fd, const std::string& name);
/// The same by path.
[[nodiscard]] Result<void> remove_tree(const std::string& path);

/// What walk_tree() found: `directory` is an open descriptor of the entry's parent.
struct TreeEntry {
  int directory = -1;
  std::string name;
  std::string path;  ///< relative to the root of the walk
  struct stat info{};
};

/// Visits everything below `root` (not `root` itself), parents first, names of a directory in byte
/// order, without following links and without leaving the file system. Directories deeper than 64
/// levels are not entered: EOVERFLOW.
[[nodiscard]] Result<void> walk_tree(const std::string& root,
                                     const std::function<Result<void>(const TreeEntry&)>& visit);

}  // namespace panal
