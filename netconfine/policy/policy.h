#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace panal::netconfine {

/// An address with a prefix length, as written "10.1.0.0/16" or "fd00::/8"; host bits are zero.
struct Prefix {
  bool v6 = false;
  std::array<std::uint8_t, 16> bytes{};  ///< network byte order; IPv4 uses the first four
  std::uint8_t length = 0;               ///< 0..32 or 0..128
  [[nodiscard]] auto operator<=>(const Prefix&) const = default;
};

/// kAny: every one; kIcmp: echo requests of both families.
enum class Protocol : std::uint8_t { kAny, kTcp, kUdp, kIcmp };

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0xffff;  ///< not below `first`
  [[nodiscard]] auto operator<=>(const PortRange&) const = default;
};

/// A protocol, with the destination's ports where it has some.
struct Traffic {
  Protocol protocol = Protocol::kAny;
  PortRange ports;  ///< with kTcp and kUdp; whole with the others
  [[nodiscard]] auto operator<=>(const Traffic&) const = default;
};

/// Something with a name that desktops may reach, or that may reach them: "dns", "proxy",
/// "internet".
struct Service {
  std::string name;              ///< [a-z0-9][a-z0-9_-]{0,31}
  std::vector<Prefix> peers;     ///< not empty; "internet" is 0.0.0.0/0 and ::/0 less `except`
  std::vector<Prefix> except;    ///< parts of `peers` that do not belong to it
  std::vector<Traffic> traffic;  ///< empty: all
  [[nodiscard]] bool operator==(const Service&) const = default;
};

/// Bounds of what one desktop may use; 0: no bound.
struct NetLimits {
  std::uint64_t send_bits_per_second = 0;
  std::uint64_t receive_bits_per_second = 0;
  std::uint64_t burst_bytes = 0;  ///< 0 with a rate: what 50 ms of it bring
  std::uint32_t connections = 0;  ///< open at once
  std::uint32_t new_connections_per_second = 0;
  [[nodiscard]] bool operator==(const NetLimits&) const = default;
};

enum class NetLog : std::uint8_t { kNone, kDenied, kAll };  ///< kAll: new connections too

/// The name of the policy that allows nothing; none is ever defined under it.
inline constexpr const char* kNoPolicy = "none";

/// What the desktops of an image or a tenant may do. The default allows nothing.
struct NetPolicy {
  std::string name;                          ///< [a-z0-9][a-z0-9_-]{0,31}
  std::vector<std::string> reach = {};       ///< names of services
  std::vector<std::string> reached_by = {};  ///< names of services: who may open connections to it
  /// Desktops of one group and one tenant reach each other; "": none.
  std::string group = {};
  NetLimits limits = {};
  /// Rates that all desktops of a tenant with this policy share.
  NetLimits tenant_limits = {};
  NetLog log = NetLog::kNone;
  [[nodiscard]] bool operator==(const NetPolicy&) const = default;
};

/// What is said about a group, besides who is in it.
struct NetGroup {
  std::string name;  ///< as policies name it
  /// Its desktops have a second link, to a bridge of the group's own: what one of them sends to all
  /// (broadcast, multicast) comes to the others.
  bool bridge = false;
  [[nodiscard]] bool operator==(const NetGroup&) const = default;
};

/// Everything a node's rules follow from, besides who is there. Files give services and policies,
/// the store says which image, tenant or desktop has which (the closest wins: desktop, image,
/// tenant, then `fallback`).
struct PolicySet {
  std::map<std::string, Service> services;
  std::map<std::string, NetPolicy> policies;
  std::map<std::string, NetGroup> groups;  ///< those that something is said about
  std::string fallback;                    ///< a policy's name; "" or kNoPolicy: nothing is allowed
  [[nodiscard]] bool operator==(const PolicySet&) const = default;
};

}  // namespace panal::netconfine
