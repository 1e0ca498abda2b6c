#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::netconfine {

/// One thing that is done for an uplink: how a person would type it, and how it is done. What is
/// done already is not done again. Without `apply` it only tells something.
struct UplinkStep {
  std::string shown;
  std::function<Result<void>()> apply;
};

/// Paths below /proc/sys/net with their values, written in this order.
using NetSettings = std::vector<std::pair<std::string, std::string>>;

/// A setting of the calling thread's namespace. ENOENT where the kernel has none.
[[nodiscard]] Result<std::string> read_net_setting(const std::string& path);
/// Those the kernel lacks (IPv6, connection tracking) are passed over: nothing to set there.
[[nodiscard]] Result<void> write_net_settings(const NetSettings& settings);

/// `space`, a namespace called `where`, is held by the caller for as long as the step lives.
[[nodiscard]] UplinkStep settings_step(const UniqueFd& space, const std::string& where,
                                       NetSettings settings);

/// What steps call the two namespaces.
inline constexpr const char* kHostSpace = "the host's network namespace";
inline constexpr const char* kPanalSpace = "panal's network namespace";

}  // namespace panal::netconfine
