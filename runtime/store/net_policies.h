#pragma once

#include <string>
#include <string_view>

#include "engine/model/ids.h"

namespace panal::store {

/// A node's channel (Store::listen()) brings this payload when somebody's network policy changed.
inline constexpr const char* kNetPayload = "net";

/// Whose network policy is meant.
enum class NetScope { kTenant, kImage, kDesktop };
[[nodiscard]] std::string_view to_string(NetScope scope);

struct NetTarget {
  NetScope scope = NetScope::kTenant;
  std::string name;       ///< of a tenant or an image
  DesktopId desktop = 0;  ///< with kDesktop
};

/// What somebody was given; which policies there are says each node's file.
struct NetAssignment {
  NetTarget target;
  std::string shown;  ///< "acme", "xfce", "acme/alice-desk"
  std::string policy;
};

/// The policy of one desktop: the closest of its own, its image's, its tenant's.
struct DesktopNetPolicy {
  DesktopId id = 0;
  std::string name, tenant, image, node;
  std::string policy;    ///< empty: none was assigned, the file's default holds
  std::string given_by;  ///< "desktop", "image", "tenant"; empty: nothing
};

}  // namespace panal::store
