#pragma once

#include <cstddef>

namespace panal::bench {

/// What a desktop's user does, once it has settled.
enum class Role {
  kActive,  ///< somebody types into it
  kIdle,    ///< a client is connected, and that is all
  kAway,    ///< its client has left
};

/// Percent of all desktops, together at most 100; the others are idle.
struct Shares {
  unsigned active_percent = 0;
  unsigned disconnected_percent = 0;

  [[nodiscard]] bool operator==(const Shares&) const = default;
};

/// The role of the desktop with this index, from 0. Roles are spread evenly, so that each lot has
/// its share; the first that stays is an active one, where there are any.
[[nodiscard]] Role role_of(std::size_t index, const Shares& shares);

}  // namespace panal::bench
