#include "netconfine/uplink/host_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"
#include "netconfine/link/find_link.h"
#include "netconfine/policy/prefix.h"
#include "netconfine/uplink/program.h"
#include "netconfine/uplink/uplink_messages.h"
#include "netconfine/uplink/uplink_step.h"

namespace panal::netconfine {
namespace {

// 0 for what is not there, or no number.
std::uint64_t number_at(const std::string& path) {
  const auto text = read_net_setting(path);
  std::uint64_t value = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

Result<void> look_at_routes(NetlinkSocket& socket, const UplinkPlan& plan, HostFacts& facts) {
  PANAL_ASSIGN(const auto links, all_links(socket));
  const auto name_of = [&](int index) {
    const auto link = std::find_if(links.begin(), links.end(),
                                   [&](const FoundLink& one) { return one.index == index; });
    return link != links.end() ? link->name : std::string("?");
  };
  PANAL_ASSIGN(const auto routes, all_routes(socket));
  for (const auto& route : routes) {
    if (route.to.length == 0) {
      if (route.index == facts.device && facts.device != 0) facts.default_route = true;
      continue;
    }
    const std::string link = name_of(route.index);
    if (link == kHostUplinkName) continue;
    if (overlap(route.to, route.to.v6 ? plan.desktops6 : plan.desktops4)) {
      facts.clash = fmt::format("{} by {}", to_string(route.to), link);
    }
  }
  return {};
}

// The filters of whatever iptables there are. A host may have rules of both, one before the other.
Result<void> look_at_filters(HostFacts& facts) {
  PANAL_ASSIGN(const auto proc, Dir::open(kernel_paths::kProc));
  for (const bool v6 : {false, true}) {
    // The legacy program would load the kernel's old tables by only asking.
    const auto legacy =
        proc.read(v6 ? "thread-self/net/ip6_tables_names" : "thread-self/net/ip_tables_names");
    for (const char* variant : {"nft", "legacy"}) {
      const bool is_legacy = std::string_view(variant) == "legacy";
      if (is_legacy && (!legacy || legacy->find("filter") == std::string::npos)) continue;
      const std::string program = fmt::format("{}-{}", v6 ? "ip6tables" : "iptables", variant);
      if (!has_program(program)) continue;
      PANAL_ASSIGN(const auto listed, run_program({program, "-w", "5", "-S"}));
      // A table that other programs have filled with what it cannot show: an error, and not ours.
      if (listed.status != 0) continue;
      facts.filters.push_back(parse_forward_filter(program, v6, listed.out));
      if (auto rules = our_rules(listed.out); !rules.empty()) {
        facts.our_rules[program] = std::move(rules);
      }
    }
  }
  return {};
}

}  // namespace

Result<HostFacts> look_at_host(NetlinkSocket& socket, const UplinkPlan& plan) {
  HostFacts facts;
  if (!plan.device.empty()) {
    const auto device = find_link(socket, plan.device);
    if (!device && !device.error().is_gone()) return tl::make_unexpected(device.error());
    if (device) {
      facts.device = device->index;
      std::copy_n(device->mac.begin(), std::min(device->mac.size(), facts.device_mac.size()),
                  facts.device_mac.begin());
      facts.forwards4 = number_at(fmt::format("ipv4/conf/{}/forwarding", plan.device)) == 1;
    }
  }
  facts.forwards6 = number_at("ipv6/conf/all/forwarding") == 1;
  facts.shares = table_shares(number_at("netfilter/nf_conntrack_max"),
                              number_at("ipv4/neigh/default/gc_thresh3"));
  PANAL_TRY(look_at_routes(socket, plan, facts));
  PANAL_TRY(look_at_filters(facts));
  if (has_program("nft")) {
    PANAL_ASSIGN(const auto listed, run_program({"nft", "list", "table", "inet", kHostTable}));
    facts.has_table = listed.status == 0;
    if (facts.has_table) facts.mark = parse_host_table_mark(listed.out);
  }
  if (facts.mark.device.empty()) {
    const auto link = find_link(socket, kHostUplinkName);
    if (link) facts.mark = parse_host_table_mark(link->alias);
  }
  return facts;
}

}  // namespace panal::netconfine
