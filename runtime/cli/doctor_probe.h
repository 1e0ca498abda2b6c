#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "runtime/cli/doctor.h"

namespace panal::cli {

/// Runs `work` in a child with the namespaces `clone_flags` of its own (mounts made private), so
/// that what it makes goes with it. Errors: those of `work`, unshare(2); ETIME after 20 s.
[[nodiscard]] Result<void> try_in_child(int clone_flags, const std::function<Result<void>()>& work);

/// Kernel features, each tried: user namespaces, overlayfs, idmapped mounts on the file system of
/// `directory`, seccomp, nftables, veth, pidfd. Needs root.
[[nodiscard]] std::vector<Check> probe_kernel(const std::string& directory);

}  // namespace panal::cli
