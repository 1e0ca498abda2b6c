#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace panal::desktop::lxc {

/// Makes sure that what a container's mounts go onto is a directory, or a file for the agent's
/// program, in the desktop's own root, or is not there yet. liblxc mounts on no link, but makes
/// what is missing with mkdir and mknod, which follow links, and at that time the host's files are
/// in sight: a desktop that keeps its root could have left a link there for its next start. Nothing
/// runs in `root` meanwhile. `home_path` as render_config() takes it; `more`: scratch_targets().
/// Errors: ELOOP for a link, ENOTDIR, EISDIR for other things; each names the path inside.
[[nodiscard]] Result<void> check_mount_targets(const std::string& root, std::string_view home_path,
                                               const std::vector<std::string_view>& more = {});

}  // namespace panal::desktop::lxc
