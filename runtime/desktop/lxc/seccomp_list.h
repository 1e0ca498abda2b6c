#pragma once

#include <string>

namespace panal::desktop::lxc {

/// Panal's seccomp list in liblxc's format (version 2, denylist): what no desktop session needs and
/// what the kernel's past trouble lived in. `browser_sandbox` leaves nested user namespaces open.
/// `merge`: the desktop is enlisted in KSM as a whole, so its processes may leave and come back.
/// Every entry is tried from inside by tests/system/desktop. liblxc skips names that libseccomp
/// does not know with a warning only: calls newer than libseccomp and foreign ABIs are the business
/// of agent::install_abi_filter(), which init calls.
[[nodiscard]] std::string render_seccomp_list(bool browser_sandbox, bool merge = false);

}  // namespace panal::desktop::lxc
