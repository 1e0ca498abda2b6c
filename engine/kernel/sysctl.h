#pragma once

#include <string>

#include "engine/base/result.h"
#include "engine/base/tree.h"

namespace panal::kernel {

/// The file of a kernel variable below /proc: "vm.swappiness" is "sys/vm/swappiness". A dot within
/// a name is written as a slash ("net.ipv4.conf.eth0/1.rp_filter"), as sysctl(8) has it. Errors:
/// EINVAL for a name that is none.
[[nodiscard]] Result<std::string> sysctl_path(const std::string& name);

/// Its value without the line end; several numbers stay as they are, single blanks between them, so
/// that what was read can be compared with what was written.
/// Those below net. are the reader's network namespace's. Errors: EINVAL; ENOENT; EACCES.
[[nodiscard]] Result<std::string> read_sysctl(const Tree& tree, const std::string& name);
/// Errors: EINVAL, also for a value the kernel refuses; ENOENT; EPERM.
[[nodiscard]] Result<void> write_sysctl(const Tree& tree, const std::string& name,
                                        const std::string& value);

}  // namespace panal::kernel
