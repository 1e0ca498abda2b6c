#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace panal::netconfine {

/// What the host's table for the uplink "veth" is made from.
struct HostTableFacts {
  std::string device;     ///< where packets leave; a name that UplinkPlan has checked
  std::string desktops4;  ///< prefixes, as text
  std::string desktops6;  ///< "": IPv6 does not go out
  /// The device did not forward before we made it: then it does so for desktops alone.
  bool guard = false;
  std::uint32_t next_hops = 0;    ///< neighbours desktops may use at a time, all together
  std::uint32_t connections = 0;  ///< that one desktop may have in the host's connection table
  [[nodiscard]] bool operator==(const HostTableFacts&) const = default;
};

/// Its name in the host's namespace, family inet.
inline constexpr const char* kHostTable = "panal_uplink";

/// The table as text for nft(8), which replaces an older one in one step: what `--dry-run` shows is
/// what is loaded. From desktops to the outside and answers back, nothing else: not to the host,
/// not to its other networks, not from outside. Desktops are masked behind the device's address.
[[nodiscard]] std::string host_table(const HostTableFacts& facts);

/// The text that deletes it, whether it is there or not.
[[nodiscard]] std::string no_host_table();

/// What a loaded table, and the alias of the host's link, remember of the host, for a process that
/// finds them.
struct HostTableMark {
  std::string device;
  bool guard = false;
  [[nodiscard]] bool operator==(const HostTableMark&) const = default;
};
[[nodiscard]] std::string to_string(const HostTableMark& mark);
/// `listed`: what nft(8) lists, or an alias. Nothing is believed that is not as we write it: then
/// both are empty.
[[nodiscard]] HostTableMark parse_host_table_mark(const std::string& listed);

/// How much of the host's tables desktops may take. `connection_max`: nf_conntrack_max;
/// `neighbour_max`: gc_thresh3 of net.ipv4.neigh.default; 0: not known.
struct TableShares {
  std::uint32_t next_hops = 0, connections = 0;
};
[[nodiscard]] TableShares table_shares(std::uint64_t connection_max, std::uint64_t neighbour_max);

// --- hosts that drop what they forward, as Docker makes them
// --------------------------------------

/// One iptables program, of which a host can have several at once (nft, legacy; each for v4 and
/// v6).
struct ForwardFilter {
  std::string program;  ///< "iptables-nft"
  bool v6 = false;
  bool drops = false;        ///< policy DROP, or rules that may drop
  bool docker_user = false;  ///< Docker's chain for other people's rules is there
  [[nodiscard]] bool operator==(const ForwardFilter&) const = default;
};

/// What `PROGRAM -S` says of its filter table.
/// It believes nothing it does not know: a chain FORWARD with rules is one that may drop.
[[nodiscard]] ForwardFilter parse_forward_filter(const std::string& program, bool v6,
                                                 const std::string& text);

using Words = std::vector<std::string>;

/// Arguments (without program and verb) that let the uplink through such a filter:
/// {"FORWARD", "-i", ...}. Put with `-I`, asked for with `-C`, taken away with `-D`.
[[nodiscard]] std::vector<Words> forward_rules(const ForwardFilter& filter,
                                               const std::string& device);
/// Our rules in what `PROGRAM -S` says, whatever device they are for.
[[nodiscard]] std::vector<Words> our_rules(const std::string& text);

}  // namespace panal::netconfine
