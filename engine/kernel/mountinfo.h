#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace panal::kernel {

/// One line of a mountinfo table.
struct MountEntry {
  int id = 0;
  int parent_id = 0;
  std::string root;         ///< what part of its file system is mounted
  std::string mount_point;  ///< relative to the reader's root, octal escapes decoded
  std::string options;      ///< per mount: rw,relatime,...
  std::string propagation;  ///< optional fields ("shared:1 master:2"), empty: private
  std::string type;         ///< file system type
  std::string source;
  std::string super_options;  ///< of the file system, comma separated

  [[nodiscard]] bool has_super_option(std::string_view option) const;
};

/// Parses a whole table. Unknown optional fields are kept as they are.
/// Errors: EPROTO with the line number. Kernel: Documentation/filesystems/proc.rst section 3.5.
[[nodiscard]] Result<std::vector<MountEntry>> parse_mountinfo(std::string_view text);

}  // namespace panal::kernel
