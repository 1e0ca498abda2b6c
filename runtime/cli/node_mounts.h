#pragma once

#include "engine/base/result.h"
#include "engine/model/ids.h"
#include "runtime/config/config.h"

namespace panal::cli {

/// A layer may be mounted (in memory, with a quota, a pool) where only the node's own processes see
/// it: this process sees it from now on as well. Where this cannot be (no node is up, not root),
/// what is on the disk is seen all the same.
void enter_mounts_of_node(const config::Config& config);

/// Deletes all that a desktop of this node has written into its root, its logs and what held it to
/// a limit, wherever its backend keeps it; the desktop does not run. Nothing there is no error.
/// Errors: those of storage::ComposeBackend::erase() and storage::Quota::remove().
[[nodiscard]] Result<void> erase_desktop_dirs(const config::Config& config, DesktopId id);

}  // namespace panal::cli
