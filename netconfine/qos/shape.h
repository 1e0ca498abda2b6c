#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "engine/base/result.h"
#include "engine/model/session.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/policy/compiled.h"

namespace panal::netconfine {

/// As the desktop sees it.
enum class Direction : std::uint8_t { kSend, kReceive };

/// What shaping has to know of one desktop.
struct ShapedDesktop {
  Addresses addresses;
  std::string tenant;       ///< whose desktops share `tenant_limits`; "": it shares with nobody
  NetLimits limits;         ///< only rates and burst matter here
  NetLimits tenant_limits;  ///< of several in one tenant, the lowest rate above 0 holds
  SessionClass session = SessionClass::kActive;
  bool bridged = false;  ///< it may have a port on its group's bridge, which counts as well
  [[nodiscard]] bool operator==(const ShapedDesktop&) const = default;
};

/// Of a desktop that has `policy`: rates are shared by a tenant's desktops with the same policy.
[[nodiscard]] ShapedDesktop shaped(const Addresses& addresses, const CompiledPolicy& policy,
                                   SessionClass session);

/// What holds for all desktops of a node together; 0: no bound.
struct LineLimits {
  std::uint64_t send_bits_per_second = 0;
  std::uint64_t receive_bits_per_second = 0;
  [[nodiscard]] bool operator==(const LineLimits&) const = default;
};

/// A class's number within its tree: the low half of the kernel's classid (tc(8)).
using Minor = std::uint16_t;

// Desktops have the low 16 bits of their MAC, so that one program of seven instructions finds the
// class of a packet; tenants and our own lie above.
inline constexpr Minor kLastDesktopMinor = 0xefff;
inline constexpr Minor kFirstTenantMinor = 0xf000;
inline constexpr Minor kLastTenantMinor = 0xffef;
inline constexpr Minor kRootMinor = 0xfffe;
/// For packets of a class that is not there: slow enough to hurt nobody, never a way round.
inline constexpr Minor kStrayMinor = 0xffff;

/// One class of a hierarchical token bucket (HTB). It may always send at `rate`, and up to `ceil`
/// by borrowing from its parent, where the lower `priority` comes first.
struct ShapeClass {
  Minor minor = 0;
  Minor parent = 0;  ///< 0: the tree's root
  std::uint64_t rate_bytes_per_second = 0;
  std::uint64_t ceil_bytes_per_second = 0;
  std::uint32_t rate_burst_bytes = 0;
  std::uint32_t ceil_burst_bytes = 0;
  std::uint32_t priority = 0;     ///< 0..7
  std::uint32_t queue_bytes = 0;  ///< what may wait; 0: a class with children, not packets
  [[nodiscard]] auto operator<=>(const ShapeClass&) const = default;
};

/// Errors: ENOSPC for a MAC that is not a desktop's or is past kLastDesktopMinor.
[[nodiscard]] Result<Minor> desktop_minor(const Addresses& addresses);

/// Active sessions first, then idle ones, then those nobody looks at.
[[nodiscard]] std::uint32_t priority_of(SessionClass session);

// The classes, from limits in bits a second (0: none; they are cut to 1 kbit/s..1 Tbit/s).
[[nodiscard]] ShapeClass root_class(std::uint64_t line_bits_per_second);
[[nodiscard]] ShapeClass stray_class();
[[nodiscard]] ShapeClass tenant_class(Minor minor, std::uint64_t bits_per_second,
                                      std::uint32_t burst_bytes);
/// `parent`: the tenant's, or the root's. `bits_per_second` 0: only the parent bounds it.
[[nodiscard]] ShapeClass desktop_class(Minor minor, const ShapeClass& parent,
                                       std::uint64_t bits_per_second, std::uint64_t burst_bytes,
                                       SessionClass session);

}  // namespace panal::netconfine
