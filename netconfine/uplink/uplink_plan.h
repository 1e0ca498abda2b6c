#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/policy/policy.h"

namespace panal::netconfine {

/// How desktops' packets leave Panal's network namespace.
enum class UplinkKind : std::uint8_t {
  kNone,     ///< they do not
  kNic,      ///< by a network card that is moved in; the host no longer has it
  kMacvlan,  ///< by a macvlan on a card of the host: in the LAN, past the host's own network
  kVeth,     ///< by the host, which forwards and masks them behind an address of its own (NAT)
};

/// The uplink as the configuration writes it.
struct UplinkSettings {
  std::string kind = "none";  ///< "none", "nic", "macvlan", "veth"
  std::string device = {};    ///< the host's: the card itself, or by which packets leave
  // With nic and macvlan: Panal's own addresses there, without a length, and the routers'. A
  // family without addresses does not go out.
  std::string address4 = {}, gateway4 = {};
  std::string address6 = {}, gateway6 = {};
  /// Prefixes that are reached without the router, over the link itself; nothing else is, since
  /// each address of them may take an entry of the host's one neighbour table.
  std::vector<std::string> direct = {};
};

/// What follows from the settings.
struct UplinkPlan {
  UplinkKind kind = UplinkKind::kNone;
  std::string device;
  std::optional<Ipv4> address4, gateway4;
  std::optional<Ipv6> address6, gateway6;
  std::vector<Prefix> direct;
  Prefix desktops4, desktops6;  ///< where desktops' addresses are from
  [[nodiscard]] bool operator==(const UplinkPlan&) const = default;

  /// Packets must leave under the uplink's address: routers know nothing of desktops'. (With veth
  /// the host does it.)
  [[nodiscard]] bool masquerade() const {
    return kind == UplinkKind::kNic || kind == UplinkKind::kMacvlan;
  }
};

/// The uplink's name in Panal's namespace, whatever its kind; Ruleset::uplink.
inline constexpr const char* kUplinkName = "uplink0";
/// The host's end of a veth.
inline constexpr const char* kHostUplinkName = "panal-uplink";

/// IPv4 addresses that may be `direct` in all. The kernel's neighbour table has 1,024 places by
/// default, for all namespaces together.
inline constexpr std::uint32_t kMostDirect = 256;

/// Errors: EINVAL with a sentence that names the setting.
[[nodiscard]] Result<UplinkPlan> parse_uplink(const UplinkSettings& settings,
                                              const Prefix& desktops4, const Prefix& desktops6);

[[nodiscard]] const char* to_string(UplinkKind kind);

}  // namespace panal::netconfine
