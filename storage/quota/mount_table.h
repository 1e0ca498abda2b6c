#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace panal::storage {

/// A line of mountinfo: proc(5).
struct MountLine {
  std::string point;    ///< where it is mounted, escapes undone
  std::string type;     ///< of the file system: "ext4", "nfs4", "fuse.sshfs"
  std::string source;   ///< "/dev/sda1", "server:/export"
  std::string options;  ///< of the file system, comma-separated
};

/// Errors: EPROTO naming the line that is none.
[[nodiscard]] Result<std::vector<MountLine>> parse_mountinfo(std::string_view text);
/// The mount that `path` (absolute, without . and ..) lies in: the last one mounted at the longest
/// of the prefixes. Null where the table has none.
[[nodiscard]] const MountLine* mount_of(const std::vector<MountLine>& table, std::string_view path);
/// Whether something is mounted at exactly this path. By the table alone: no file system is asked,
/// so a server that hangs does not matter.
[[nodiscard]] bool is_mounted_at(const std::vector<MountLine>& table, std::string_view path);
/// This process's own. Errors: those of open(2) and parse_mountinfo().
[[nodiscard]] Result<std::vector<MountLine>> read_mount_table();

/// Whether files of such a file system are on another machine (or behind a program, as with FUSE):
/// it can hang or vanish. Unknown types are local.
[[nodiscard]] bool is_remote_type(std::string_view type);

}  // namespace panal::storage
