#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::desktop {

/// Connects the unix socket at `relative` below `shared_dir`, where the desktop may have put
/// anything: neither links nor ".." are followed (openat2(2)), the object must be a socket owned by
/// `owner`, and it is connected through its descriptor, so that nothing is looked up twice.
/// The result is non-blocking. Errors: ENOENT; EPERM for what is not such a socket; ECONNREFUSED
/// when nobody listens; EAGAIN when its backlog is full.
[[nodiscard]] Result<UniqueFd> connect_beneath(const std::string& shared_dir,
                                               const std::string& relative, std::uint32_t owner);

}  // namespace panal::desktop
