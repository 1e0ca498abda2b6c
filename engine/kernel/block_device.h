#pragma once

#include <string>

#include "engine/base/result.h"
#include "engine/base/tree.h"

namespace panal::kernel {

/// The whole disk that holds a file or directory, as "major:minor": what limits of I/O are set on.
/// Errors: ENODEV where no single disk does (a tmpfs, an overlay, a network's); those of stat(2).
[[nodiscard]] Result<std::string> whole_disk_of(const Tree& tree, const std::string& path);

/// The same for the number of a disk or of a partition of it. Errors: ENODEV; EPROTO.
[[nodiscard]] Result<std::string> whole_disk(const Tree& tree, const std::string& device);

}  // namespace panal::kernel
