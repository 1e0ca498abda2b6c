#pragma once

#include <string>

#include "engine/base/result.h"

namespace panal::desktop::lxc {

/// Panal's seccomp list in liblxc's format (version 2, denylist): what no desktop session needs and
/// what the kernel's past trouble lived in. `browser_sandbox` leaves nested user namespaces open.
/// Every entry is tried from inside by tests/system/desktop. liblxc skips names that libseccomp does
/// not know with a warning only: calls newer than libseccomp are the business of
/// install_abi_filter().
[[nodiscard]] std::string render_seccomp_list(bool browser_sandbox);

/// Installs on the calling thread, for all its children: calls of foreign ABIs (i386, x32) and
/// calls newer than the list above get ENOSYS, so that a new kernel's new calls stay shut until
/// somebody has looked at them. Needs CAP_SYS_ADMIN. Kernel: seccomp(2).
[[nodiscard]] Result<void> install_abi_filter();

}  // namespace panal::desktop::lxc
