#pragma once

#include "engine/base/result.h"

namespace panal::agent {

/// Installs a seccomp filter on the calling thread and all its children: calls of foreign ABIs
/// (i386, x32) and calls newer than Linux 5.17 get ENOSYS, so that a new kernel's new calls stay
/// shut until somebody has looked at them (libseccomp 2.5 knows no newer ones either, and liblxc
/// skips unknown names with a warning).
///
/// It belongs to init: liblxc loads no list into a process that already has a filter, and its
/// lists cannot say this. Needs no_new_privs or CAP_SYS_ADMIN. Kernel: seccomp(2).
[[nodiscard]] Result<void> install_abi_filter();

}  // namespace panal::agent
