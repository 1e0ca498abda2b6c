#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"

namespace panal::storage {

/// What the builder has to know of a finished tree.
struct TreeFacts {
  std::uint64_t size_bytes = 0;
  std::uint64_t files = 0;
  std::vector<std::pair<std::string, std::string>> packages;
};

enum class PackageList {
  kRequired,  ///< a tree that was built has one
  kOptional,  ///< an imported one need not be Debian's
};

/// Looks at every file of a tree that was filled by others: deletes sockets and FIFOs, drops
/// extended attributes other than security.capability.
/// Errors: EPERM for a device node, ERANGE for an owner past 65,535 (it could not be mapped),
/// ENOENT where dpkg's status file is missing and required.
[[nodiscard]] Result<TreeFacts> finalise_tree(const std::string& root,
                                              PackageList packages = PackageList::kRequired);

}  // namespace panal::storage
