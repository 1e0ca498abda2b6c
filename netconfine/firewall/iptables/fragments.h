#pragma once

#include <vector>

#include "engine/base/result.h"
#include "netconfine/firewall/backend.h"

namespace panal::netconfine {

/// Fragments end at Panal's namespace. Connection tracking puts them together before the first
/// table of iptables sees them, and it takes any link's: one desktop could write into another's
/// datagrams, or fill the memory set aside for halves. With thresholds of 0 the kernel takes none.
/// Kernel: ip-sysctl, ipfrag_high_thresh; nf_conntrack-sysctl, nf_conntrack_frag6_high_thresh.
/// For the calling thread's network namespace. Errors: those of writing sysctls.
[[nodiscard]] Result<void> refuse_fragments();
/// Where fragments are taken.
[[nodiscard]] Result<std::vector<Drift>> audit_fragments();

}  // namespace panal::netconfine
