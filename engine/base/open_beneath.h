#pragma once

#include <string>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal {

/// Opens the regular file `path` of the tree at `tree_fd` for reading, whoever wrote that tree: no
/// link is followed, no mount entered, nothing outside reached, and a FIFO or device in the file's
/// place is refused without waiting for it. `path` may begin with a slash: it is the tree's own.
/// Errors: ENOENT; ELOOP for a link, EXDEV for a way out; EINVAL for anything that is no file.
/// Kernel: openat2(2), 5.6.
[[nodiscard]] Result<UniqueFd> open_beneath(int tree_fd, const std::string& path);
/// The same for a directory; "/" and "" are the tree's own. Errors: ENOTDIR besides.
[[nodiscard]] Result<UniqueFd> open_directory_beneath(int tree_fd, const std::string& path);

}  // namespace panal
