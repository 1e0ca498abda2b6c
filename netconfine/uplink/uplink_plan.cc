#include "netconfine/uplink/uplink_plan.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <array>

#include "engine/base/nearest.h"
#include "netconfine/policy/prefix.h"

namespace panal::netconfine {
namespace {

constexpr std::array kKinds = {UplinkKind::kNone, UplinkKind::kNic, UplinkKind::kMacvlan,
                               UplinkKind::kVeth};
// IPv6 prefixes that are direct must be this long: 256 addresses.
constexpr unsigned kShortestDirect6 = 120;

Failure bad(const std::string& setting, const std::string& value, const std::string& why) {
  return fail(EINVAL, fmt::format("{} \"{}\": {}", setting, value, why));
}

Result<UplinkKind> parse_kind(const std::string& text) {
  std::vector<std::string> names;
  for (const UplinkKind kind : kKinds) {
    if (text == to_string(kind)) return kind;
    names.emplace_back(to_string(kind));
  }
  const auto meant = nearest(text, names);
  return bad("uplink", text,
             fmt::format("want {}{}", fmt::join(names, ", "),
                         meant.empty() ? "" : fmt::format(" (\"{}\"?)", meant)));
}

// The kernel forbids little in a link's name; these go into rules and commands that people read.
Result<void> check_device(const std::string& name) {
  if (name.empty()) {
    return bad("uplink_device", name, "name the host's link by which packets are to leave");
  }
  const auto fine = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == ':' || c == '@';
  };
  if (name.size() >= IFNAMSIZ || !std::all_of(name.begin(), name.end(), fine) ||
      name.front() == '.' || name.front() == '-') {
    return bad("uplink_device", name, "is no name of a link (1 to 15 letters, digits, \"-_.:@\")");
  }
  if (name == "lo" || name == kUplinkName || name == kHostUplinkName || id_of_link(name) != 0) {
    return bad("uplink_device", name, "is not a link to the outside");
  }
  return {};
}

// An address alone, that a host can have.
Result<Prefix> parse_host(const std::string& setting, const std::string& text, bool v6) {
  if (text.find('/') != std::string::npos) {
    return bad(setting, text,
               "write the address alone: what is in its network is reached by the router, or over "
               "the link where uplink_direct lists it");
  }
  const auto prefix = parse_prefix(text);
  if (!prefix) return bad(setting, text, prefix.error().context);
  if (prefix->v6 != v6) return bad(setting, text, v6 ? "is no IPv6 address" : "is no IPv4 address");
  const auto first = prefix->bytes[0];
  const bool unusable =
      v6 ? first == 0 || first == 0xff : first == 0 || first == 127 || first >= 224;
  if (unusable) return bad(setting, text, "is no address of a host in a network");
  return *prefix;
}

template <typename Address>
Address address_of(const Prefix& prefix) {
  Address address{};
  std::copy_n(prefix.bytes.begin(), address.size(), address.begin());
  return address;
}

// A family's address and router: both or neither.
template <typename Address>
Result<void> parse_family(const std::string& address, const std::string& gateway, bool v6,
                          const Prefix& desktops, std::optional<Address>& own,
                          std::optional<Address>& router) {
  const std::string number = v6 ? "6" : "4";
  if (address.empty() && gateway.empty()) return {};
  if (address.empty())
    return bad("uplink_gateway" + number, gateway, "needs uplink_address" + number);
  if (gateway.empty())
    return bad("uplink_address" + number, address, "needs uplink_gateway" + number);
  PANAL_ASSIGN(const auto mine, parse_host("uplink_address" + number, address, v6));
  PANAL_ASSIGN(const auto other, parse_host("uplink_gateway" + number, gateway, v6));
  if (mine == other) return bad("uplink_gateway" + number, gateway, "is the uplink's own address");
  for (const auto& [name, one] :
       {std::pair("uplink_address" + number, mine), std::pair("uplink_gateway" + number, other)}) {
    if (contains(desktops, one)) {
      return bad(name, to_string(one),
                 "lies among desktops' addresses (" + to_string(desktops) + ")");
    }
  }
  own = address_of<Address>(mine);
  router = address_of<Address>(other);
  return {};
}

Result<void> parse_direct(const UplinkSettings& settings, UplinkPlan& plan) {
  std::uint64_t count = 0;
  for (const auto& text : settings.direct) {
    const auto prefix = parse_prefix(text);
    if (!prefix) return bad("uplink_direct", text, prefix.error().context);
    if (overlap(*prefix, prefix->v6 ? plan.desktops6 : plan.desktops4)) {
      return bad("uplink_direct", text, "lies among desktops' addresses");
    }
    if (!(prefix->v6 ? plan.address6.has_value() : plan.address4.has_value())) {
      return bad("uplink_direct", text, "the uplink has no address of this family");
    }
    if (prefix->v6 && prefix->length < kShortestDirect6) {
      return bad("uplink_direct", text,
                 "more than 256 addresses: a desktop that tries them all would fill the host's "
                 "neighbour table; list those that are needed");
    }
    count += std::uint64_t{1} << ((prefix->v6 ? 128U : 32U) - prefix->length);
    if (count > kMostDirect) {
      return bad(
          "uplink_direct", text,
          fmt::format("more than {} addresses in all: a desktop that tries them all would fill "
                      "the host's neighbour table; list those that are needed",
                      kMostDirect));
    }
    plan.direct.push_back(*prefix);
  }
  plan.direct = merged(std::move(plan.direct));
  return {};
}

}  // namespace

const char* to_string(UplinkKind kind) {
  switch (kind) {
    case UplinkKind::kNone: return "none";
    case UplinkKind::kNic: return "nic";
    case UplinkKind::kMacvlan: return "macvlan";
    case UplinkKind::kVeth: return "veth";
  }
  return "none";
}

Result<UplinkPlan> parse_uplink(const UplinkSettings& settings, const Prefix& desktops4,
                                const Prefix& desktops6) {
  UplinkPlan plan;
  plan.desktops4 = desktops4;
  plan.desktops6 = desktops6;
  PANAL_ASSIGN(plan.kind, parse_kind(settings.kind));
  const bool addressed = plan.masquerade();
  if (plan.kind == UplinkKind::kNone) {
    if (!settings.device.empty()) {
      return bad("uplink_device", settings.device, "is not used with uplink = \"none\"");
    }
  } else {
    PANAL_TRY(check_device(settings.device));
    plan.device = settings.device;
  }
  if (!addressed) {
    for (const auto& [name, text] : {std::pair("uplink_address4", settings.address4),
                                     std::pair("uplink_gateway4", settings.gateway4),
                                     std::pair("uplink_address6", settings.address6),
                                     std::pair("uplink_gateway6", settings.gateway6)}) {
      if (!text.empty()) {
        return bad(name, text,
                   fmt::format("is not used with uplink = \"{}\"", to_string(plan.kind)));
      }
    }
    if (!settings.direct.empty()) {
      return bad("uplink_direct", settings.direct.front(),
                 fmt::format("is not used with uplink = \"{}\"", to_string(plan.kind)));
    }
    return plan;
  }
  PANAL_TRY(parse_family(settings.address4, settings.gateway4, false, desktops4, plan.address4,
                         plan.gateway4));
  PANAL_TRY(parse_family(settings.address6, settings.gateway6, true, desktops6, plan.address6,
                         plan.gateway6));
  if (!plan.address4 && !plan.address6) {
    return bad("uplink", settings.kind,
               "give it an address and a router: uplink_address4 and uplink_gateway4, or those "
               "with a 6");
  }
  PANAL_TRY(parse_direct(settings, plan));
  return plan;
}

}  // namespace panal::netconfine
