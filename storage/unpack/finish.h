#pragma once

#include <string>

#include "engine/base/result.h"
#include "storage/unpack/target.h"

namespace panal::storage::unpack {

/// Where the root file system lies in what was unpacked: "" for the top, "rootfs" for a QVD image
/// that has its root in there. Errors: EPROTO for neither, naming what is there.
[[nodiscard]] Result<std::string> find_root(const std::string& tree);

/// Looks at every symbolic link once all of the tree is there (a later layer, or a directory
/// reached through a link, may have changed what a link's target means).
/// Errors: EPERM for one whose target climbs above the root.
[[nodiscard]] Result<void> check_links(const std::string& root);

/// What a build's script does for a recipe, without running anything of the image: the mount
/// points that every desktop has, and no identity of the machine the tree was made on.
/// Errors: ENOTDIR where a mount point is something else than a directory.
[[nodiscard]] Result<void> make_desktop_root(Target& target);

}  // namespace panal::storage::unpack
