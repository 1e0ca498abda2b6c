#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/policy/policy.h"

namespace panal::netconfine {

/// "10.1.0.0/16", "fd00::/8"; an address alone is a prefix of its whole length.
/// Errors: EINVAL with what is wrong, to be put behind the text: "is no address".
[[nodiscard]] Result<Prefix> parse_prefix(std::string_view text);
/// An address alone where the prefix is one.
[[nodiscard]] std::string to_string(const Prefix& prefix);

[[nodiscard]] Prefix prefix_of(const Ipv4& address);
[[nodiscard]] Prefix prefix_of(const Ipv6& address);

[[nodiscard]] bool contains(const Prefix& outer, const Prefix& inner);
/// One contains the other: prefixes never overlap otherwise.
[[nodiscard]] bool overlap(const Prefix& a, const Prefix& b);
/// The prefix of `all` that contains `one`; nullptr: none.
[[nodiscard]] const Prefix* covering(std::span<const Prefix> all, const Prefix& one);
/// Sorted, without those that others contain.
[[nodiscard]] std::vector<Prefix> merged(std::vector<Prefix> prefixes);

/// Every address of both families.
[[nodiscard]] std::vector<Prefix> all_addresses();
/// What no service covers, whatever it says: "this network", loopback, link-local (where clouds
/// keep their secrets), multicast and what is reserved (RFC 6890), and IPv4 addresses in disguise.
[[nodiscard]] std::vector<Prefix> never_reached();
/// Addresses of private networks (RFC 1918, RFC 6598, RFC 4193).
[[nodiscard]] std::vector<Prefix> private_addresses();
/// What "internet" leaves out besides never_reached(): private addresses, also behind translators
/// (RFC 6052), tunnels that lead anywhere (RFC 3056, RFC 4380), what is for tests.
[[nodiscard]] std::vector<Prefix> not_internet();

}  // namespace panal::netconfine
