#include "netconfine/uplink/uplink.h"

#include <fmt/format.h>
#include <linux/netlink.h>

#include <algorithm>

#include "netconfine/link/find_link.h"
#include "netconfine/link/route_messages.h"
#include "netconfine/netlink/enter.h"
#include "netconfine/netlink/steps.h"
#include "netconfine/policy/prefix.h"
#include "netconfine/uplink/host_side.h"
#include "netconfine/uplink/program.h"
#include "netconfine/uplink/uplink_messages.h"

namespace panal::netconfine {
namespace {

// Locally administered, and none of a desktop's (02:70, 06:70).
constexpr int kLoopback = 1;  // lo's index in every namespace
constexpr Mac kInsideMac = {0x0a, 0x70, 0, 0, 0, 2};
constexpr Mac kHostMac = {0x0a, 0x70, 0, 0, 0, 1};
// Each end's router: addresses nobody has, that stand only in the neighbour tables.
constexpr Ipv4 kToHost4 = {169, 254, 1, 2}, kToInside4 = {169, 254, 1, 3};
constexpr Ipv6 kToHost6 = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};
constexpr Ipv6 kToInside6 = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3};
// What a link's alias says it was: how it is found, and given back, after a crash.
constexpr std::string_view kNicAlias = "panal nic ";
constexpr const char* kOurAlias = "panal uplink";

Prefix everything(bool v6) {
  Prefix all;
  all.v6 = v6;
  return all;
}

// A macvlan that is made again has the same MAC: that of its card, marked as ours.
Mac macvlan_mac(Mac card) {
  card[0] = 0x0a;
  card[1] = 0x70;
  return card;
}

std::string shown_route(const Prefix& to, const std::string& router, const char* link) {
  return fmt::format("\nip {}route replace {} {}dev {}{}", to.v6 ? "-6 " : "",
                     to.length == 0 ? "default" : to_string(to),
                     router.empty() ? "" : "via " + router + " ", link,
                     router.empty() ? "" : " onlink");
}

class HostUplink : public Uplink {
 public:
  HostUplink(UniqueFd host, NetlinkSocket host_socket, UniqueFd panal, NetlinkSocket panal_socket,
             UplinkPlan plan, LoggerPtr log)
      : host_(std::move(host), std::move(host_socket), plan),
        panal_(std::move(panal)),
        socket_(std::move(panal_socket)),
        plan_(std::move(plan)),
        log_(std::move(log)) {}

  Result<std::vector<std::string>> describe() override {
    PANAL_ASSIGN(const auto steps, planned());
    std::vector<std::string> lines;
    for (const auto& step : steps) lines.push_back(step.shown);
    return lines;
  }

  Result<void> up() override {
    if (plan_.kind == UplinkKind::kNone) return down();
    const auto failed = [&](Error error) {
      return prefixed(fmt::format("uplink {} by {}", to_string(plan_.kind), plan_.device),
                      std::move(error));
    };
    // Refused before anything is touched: what is up stays up.
    auto steps = planned();
    if (!steps) return failed(std::move(steps.error()));
    for (const auto& step : *steps) {
      if (!step.apply) continue;
      auto done = step.apply();
      if (done) continue;
      log_->error("uplink_failed", {{"step", step.shown}, {"error", done.error().message()}});
      const auto undone = down();
      if (!undone) log_->error("uplink_undo_failed", {{"error", undone.error().message()}});
      return failed(std::move(done.error()));
    }
    log_->info("uplink_up", {{"kind", to_string(plan_.kind)}, {"device", plan_.device}});
    return {};
  }

  Result<void> down() override {
    // No packet leaves from here on, whatever else fails.
    PANAL_TRY(take_away_link());
    std::vector<Step> steps;
    for (const Prefix& prefix : {plan_.desktops4, plan_.desktops6}) {
      steps.push_back({delete_blackhole(prefix), {ESRCH, ENOENT, EOPNOTSUPP}});
    }
    PANAL_TRY(carry_out(socket_, std::move(steps)));
    return host_.take_away();
  }

  Result<std::vector<Drift>> audit() override {
    std::vector<Drift> drifts;
    const auto note = [&](bool good, const std::string& where, const std::string& what) {
      if (!good) drifts.push_back({where, what});
    };
    const auto link = find_link(socket_, kUplinkName);
    if (!link && !link.error().is_gone()) return tl::make_unexpected(link.error());
    const std::string where = fmt::format("link {}", kUplinkName);
    if (plan_.kind == UplinkKind::kNone) {
      note(!link, where, "is there, and no uplink is wanted");
      return drifts;
    }
    note(link.has_value(), where, "is missing");
    if (link) {
      note(link->up, where, "is down");
      note(link->alias == alias() && kind_fits(*link), where, "is another");
      PANAL_ASSIGN(const auto routes, all_routes(socket_));
      for (const Prefix& wanted : routes_wanted()) {
        const bool there = std::any_of(routes.begin(), routes.end(), [&](const FoundRoute& route) {
          return route.to == wanted && route.index == link->index;
        });
        note(there, fmt::format("route to {}", to_string(wanted)), "is missing");
      }
    }
    if (plan_.kind == UplinkKind::kVeth) PANAL_TRY(host_.audit(drifts));
    return drifts;
  }

  Result<void> cut_off() override {
    auto down = take_link_down();
    // The one even where the other fails.
    auto stopped = host_.stop_forwarding();
    return down ? std::move(stopped) : std::move(down);
  }

 private:
  // An end's way over the other: where to, and by which router that nobody is.
  struct Way {
    Prefix to;
    Ip router;
    Prefix router_prefix;
  };

  [[nodiscard]] std::string alias() const {
    return plan_.kind == UplinkKind::kNic ? std::string(kNicAlias) + plan_.device : kOurAlias;
  }

  [[nodiscard]] bool kind_fits(const FoundLink& link) const {
    if (plan_.kind == UplinkKind::kMacvlan) return link.kind == "macvlan";
    return plan_.kind != UplinkKind::kVeth || link.kind == "veth";
  }

  [[nodiscard]] std::vector<Prefix> routes_wanted() const {
    std::vector<Prefix> wanted = plan_.direct;
    const bool by_host = plan_.kind == UplinkKind::kVeth;
    if (by_host || plan_.gateway4) wanted.push_back(everything(false));
    if ((by_host && host_.forwards6()) || plan_.gateway6) wanted.push_back(everything(true));
    return wanted;
  }

  UplinkStep inside_settings(NetSettings settings) {
    return settings_step(panal_, kPanalSpace, std::move(settings));
  }

  Result<std::vector<UplinkStep>> planned() {
    std::vector<UplinkStep> steps;
    if (plan_.kind == UplinkKind::kNone) {
      steps.push_back(
          {"# no uplink: nothing is done to the host; what an earlier one left goes", {}});
      return steps;
    }
    PANAL_ASSIGN(const auto facts, host_.look());
    PANAL_TRY(check(facts));
    wall_inside(steps);
    if (plan_.kind == UplinkKind::kVeth) {
      plan_veth(facts, steps);
      return steps;
    }
    if (facts.has_table || !facts.our_rules.empty()) {
      steps.push_back({"# what an earlier uplink of another kind left on the host goes",
                       [this] { return host_.take_away(); }});
    }
    if (plan_.kind == UplinkKind::kNic) {
      plan_nic(facts, steps);
    } else {
      plan_macvlan(facts, steps);
    }
    plan_addressed(steps);
    return steps;
  }

  Result<void> check(const HostFacts& facts) {
    const auto inside = find_link(socket_, kUplinkName);
    if (!inside && !inside.error().is_gone()) return tl::make_unexpected(inside.error());
    const bool moved = plan_.kind == UplinkKind::kNic && inside && inside->alias == alias();
    if (facts.device == 0 && !moved) {
      return fail(ENODEV, fmt::format("the host has no link {}: see `ip link`, and set "
                                      "uplink_device in panal.toml",
                                      plan_.device));
    }
    if (plan_.kind == UplinkKind::kNic && facts.default_route) {
      return fail(EBUSY, fmt::format("{} is the host's own way out: it would lose it. Take another "
                                     "card, or uplink = \"macvlan\" or \"veth\"",
                                     plan_.device));
    }
    if (plan_.kind == UplinkKind::kVeth && !has_program("nft")) {
      return fail(ENOENT, "the host's table is loaded by nft(8): install the package nftables");
    }
    if (plan_.kind == UplinkKind::kVeth && !facts.clash.empty()) {
      return fail(EEXIST, fmt::format("the host has a route among desktops' addresses ({}): give "
                                      "desktops other subnets in panal.toml",
                                      facts.clash));
    }
    return {};
  }

  // --- links ---------------------------------------------------------------------------------

  // What is there under the uplink's name and is not this one's goes first.
  Result<bool> keeps_link() {
    const auto inside = find_link(socket_, kUplinkName);
    if (!inside && !inside.error().is_gone()) return tl::make_unexpected(inside.error());
    if (inside && inside->alias == alias() && kind_fits(*inside)) return true;
    PANAL_TRY(take_away_link());
    return false;
  }

  Result<void> take_away_link() {
    const auto inside = find_link(socket_, kUplinkName);
    if (!inside && inside.error().is_gone()) return {};
    if (!inside) return tl::make_unexpected(inside.error());
    std::vector<Message> messages;
    if (inside->alias.starts_with(kNicAlias)) {
      // A card goes back under the name it had.
      messages.push_back(
          move_link(inside->index, host_.space().get(), inside->alias.substr(kNicAlias.size())));
    } else {
      PANAL_ASSIGN(auto message, delete_link(kUplinkName));
      messages.push_back(std::move(message));
    }
    return socket_.transact(std::move(messages));
  }

  Result<void> take_link_down() {
    const auto link = find_link(socket_, kUplinkName);
    if (!link && link.error().is_gone()) return {};
    if (!link) return tl::make_unexpected(link.error());
    std::vector<Message> messages;
    messages.push_back(set_link_down(link->index));
    return socket_.transact(std::move(messages));
  }

  Result<void> mark_inside() {
    PANAL_ASSIGN(const auto inside, find_link(socket_, kUplinkName));
    std::vector<Message> messages;
    messages.push_back(set_alias(inside.index, alias()));
    return socket_.transact(std::move(messages));
  }

  void plan_nic(const HostFacts& facts, std::vector<UplinkStep>& steps) {
    steps.push_back(
        {fmt::format("ip link set {} alias \"{}\"\nip link set {} netns <panal> name {}",
                     plan_.device, alias(), plan_.device, kUplinkName),
         [this, device = facts.device]() -> Result<void> {
           PANAL_ASSIGN(const bool keeps, keeps_link());
           if (keeps) return {};
           std::vector<Message> messages;
           messages.push_back(set_alias(device, alias()));
           messages.push_back(move_link(device, panal_.get(), kUplinkName));
           return host_.socket().transact(std::move(messages));
         }});
  }

  void plan_macvlan(const HostFacts& facts, std::vector<UplinkStep>& steps) {
    const Mac mac = macvlan_mac(facts.device_mac);
    steps.push_back(
        {fmt::format("ip link add {} address {} link {} netns <panal> type macvlan mode private",
                     kUplinkName, to_string(mac), plan_.device),
         [this, device = facts.device, mac]() -> Result<void> {
           PANAL_ASSIGN(const bool keeps, keeps_link());
           if (keeps) return {};
           std::vector<Message> messages;
           messages.push_back(add_macvlan(device, kUplinkName, mac, panal_.get()));
           PANAL_TRY(host_.socket().transact(std::move(messages)));
           return mark_inside();
         }});
  }

  // A link in the LAN: everything goes to the router, so that it has one neighbour and not as many
  // as there are addresses around.
  void plan_addressed(std::vector<UplinkStep>& steps) {
    const std::string v4 = fmt::format("ipv4/conf/{}/", kUplinkName);
    const std::string v6 = fmt::format("ipv6/conf/{}/", kUplinkName);
    steps.push_back(inside_settings({{v4 + "arp_ignore", "1"},
                                     {v4 + "arp_announce", "2"},
                                     {v4 + "rp_filter", "1"},
                                     {v6 + "accept_ra", "0"},
                                     {v6 + "accept_dad", "0"},
                                     {v6 + "addr_gen_mode", "1"}}));
    std::string text = fmt::format("# in {}:\nip link set {} up", kPanalSpace, kUplinkName);
    const auto words = [&](const auto& address, const auto& router, int length, bool v6_words) {
      text += fmt::format("\nip address replace {}/{} dev {}{}", to_string(*address), length,
                          kUplinkName, v6_words ? " nodad" : "");
      text += shown_route(everything(v6_words), to_string(*router), kUplinkName);
    };
    if (plan_.address4) words(plan_.address4, plan_.gateway4, 32, false);
    if (plan_.address6) words(plan_.address6, plan_.gateway6, 128, true);
    for (const Prefix& prefix : plan_.direct) text += shown_route(prefix, "", kUplinkName);
    steps.push_back({std::move(text), [this] { return address_link(); }});
  }

  Result<void> address_link() {
    PANAL_ASSIGN(const auto link, find_link(socket_, kUplinkName));
    std::vector<Step> requests;
    requests.push_back({link_up(link.index), {}});
    const auto put_default = [&](const Prefix& router) {
      requests.push_back({put_route(link.index, everything(router.v6), &router), {}});
    };
    if (plan_.address4) {
      PANAL_ASSIGN(auto address, add_address(link.index, Ip(*plan_.address4)));
      requests.push_back({std::move(address), {EEXIST}});
      put_default(prefix_of(*plan_.gateway4));
    }
    if (plan_.address6) {
      PANAL_ASSIGN(auto address, add_address(link.index, Ip(*plan_.address6)));
      requests.push_back({std::move(address), {EEXIST}});
      put_default(prefix_of(*plan_.gateway6));
    }
    for (const Prefix& prefix : plan_.direct) {
      requests.push_back({put_route(link.index, prefix, nullptr), {}});
    }
    return carry_out(socket_, std::move(requests));
  }

  void plan_veth(const HostFacts& facts, std::vector<UplinkStep>& steps) {
    host_.plan_rules(facts, steps);
    steps.push_back(
        {fmt::format("ip link add {} address {} type veth peer name {} address {} netns <panal>",
                     kHostUplinkName, to_string(kHostMac), kUplinkName, to_string(kInsideMac)),
         [this] { return make_pair(); }});
    const std::string v4 = fmt::format("ipv4/conf/{}/", kHostUplinkName);
    const std::string v6 = fmt::format("ipv6/conf/{}/", kHostUplinkName);
    steps.push_back(settings_step(host_.space(), kHostSpace,
                                  {{v4 + "rp_filter", "1"},
                                   {v4 + "accept_redirects", "0"},
                                   {v4 + "send_redirects", "0"},
                                   {v4 + "accept_source_route", "0"},
                                   {v6 + "addr_gen_mode", "1"},
                                   {v6 + "accept_ra", "0"},
                                   {v6 + "accept_redirects", "0"}}));
    steps.push_back(join(true, facts.forwards6));
    host_.plan_forwarding(facts, steps);
    steps.push_back(join(false, facts.forwards6));
  }

  Result<void> make_pair() {
    PANAL_ASSIGN(const bool keeps, keeps_link());
    auto& host = host_.socket();
    auto outside = find_link(host, kHostUplinkName);
    if (!outside && !outside.error().is_gone()) return tl::make_unexpected(outside.error());
    if (outside && outside->kind != "veth") {
      return fail(EEXIST,
                  fmt::format("link {} of the host is no veth: rename it", kHostUplinkName));
    }
    bool whole = keeps && outside;
    if (whole) {
      PANAL_ASSIGN(const auto inside, find_link(socket_, kUplinkName));
      whole = inside.peer == outside->index;
    }
    if (!whole) {
      // Half a pair, or one whose other half is somewhere else.
      PANAL_TRY(take_away_link());
      std::vector<Step> steps;
      PANAL_ASSIGN(auto away, delete_link(kHostUplinkName));
      steps.push_back({std::move(away), {ENODEV}});
      steps.push_back(
          {add_veth_pair(kHostUplinkName, kHostMac, kUplinkName, kInsideMac, panal_.get()), {}});
      PANAL_TRY(carry_out(host, std::move(steps)));
      outside = find_link(host, kHostUplinkName);
      if (!outside) return tl::make_unexpected(std::move(outside.error()));
    }
    std::vector<Message> mark;
    mark.push_back(set_alias(outside->index, host_.alias()));
    PANAL_TRY(host.transact(std::move(mark)));
    return mark_inside();
  }

  // One end of the pair: up, its neighbour for ever, its routes over it.
  UplinkStep join(bool on_host, bool v6) {
    const char* name = on_host ? kHostUplinkName : kUplinkName;
    const Mac& mac = on_host ? kInsideMac : kHostMac;
    std::vector<Way> ways;
    const Ipv4& router4 = on_host ? kToInside4 : kToHost4;
    const Ipv6& router6 = on_host ? kToInside6 : kToHost6;
    ways.push_back(
        {on_host ? plan_.desktops4 : everything(false), Ip(router4), prefix_of(router4)});
    if (v6) {
      ways.push_back(
          {on_host ? plan_.desktops6 : everything(true), Ip(router6), prefix_of(router6)});
    }
    std::string text =
        fmt::format("# in {}:\n{}ip link set {} arp off up", on_host ? kHostSpace : kPanalSpace,
                    on_host ? "" : "ip link set lo up\nip link set lo down\n", name);
    for (const auto& way : ways) {
      const std::string router = to_string(way.router_prefix);
      text += fmt::format("\nip neighbour replace {} lladdr {} dev {} nud permanent", router,
                          to_string(mac), name);
      text += shown_route(way.to, router, name);
    }
    return {std::move(text), [this, on_host, name, mac, ways]() -> Result<void> {
              NetlinkSocket& socket = on_host ? host_.socket() : socket_;
              PANAL_ASSIGN(const auto link, find_link(socket, name));
              std::vector<Step> requests;
              // A namespace that never had an address has no table of local ones, and takes every
              // router for a broadcast address then (inet_addr_type_dev_table). lo makes it one.
              if (!on_host) {
                requests.push_back({link_up(kLoopback), {}});
                requests.push_back({set_link_down(kLoopback), {}});
              }
              requests.push_back({link_up(link.index), {}});
              for (const auto& way : ways) {
                PANAL_ASSIGN(auto neighbour, add_neighbour(link.index, Ip(way.router), mac));
                requests.push_back({std::move(neighbour), {}});
                requests.push_back({put_route(link.index, way.to, &way.router_prefix), {}});
              }
              return carry_out(socket, std::move(requests));
            }};
  }

  // Before the link is up: a desktop's address that has no link leads nowhere, and not out. And
  // connections that nobody uses any more give their place back (RFC 5382: not before 2 h 4 min).
  void wall_inside(std::vector<UplinkStep>& steps) {
    std::string text = fmt::format("# in {}:", kPanalSpace);
    for (const Prefix& prefix : {plan_.desktops4, plan_.desktops6}) {
      text += fmt::format("\nip {}route replace blackhole {}", prefix.v6 ? "-6 " : "",
                          to_string(prefix));
    }
    steps.push_back({std::move(text), [this] {
                       std::vector<Step> requests;
                       for (const Prefix& prefix : {plan_.desktops4, plan_.desktops6}) {
                         requests.push_back({put_blackhole(prefix), {EOPNOTSUPP}});
                       }
                       return carry_out(socket_, std::move(requests));
                     }});
    steps.push_back(inside_settings({{"netfilter/nf_conntrack_tcp_timeout_established", "7440"}}));
  }

  HostSide host_;
  UniqueFd panal_;
  NetlinkSocket socket_;  ///< of Panal's namespace
  UplinkPlan plan_;
  LoggerPtr log_;
};

}  // namespace

Result<std::unique_ptr<Uplink>> Uplink::open(UniqueFd host, UniqueFd panal, UplinkPlan plan,
                                             LoggerPtr log) {
  // A socket is its namespace's for ever.
  std::vector<NetlinkSocket> sockets;
  for (const UniqueFd* one : {&host, &panal}) {
    PANAL_TRY(run_inside(*one, [&]() -> Result<void> {
      PANAL_ASSIGN(auto socket, NetlinkSocket::open(NETLINK_ROUTE));
      sockets.push_back(std::move(socket));
      return {};
    }));
  }
  return std::make_unique<HostUplink>(std::move(host), std::move(sockets[0]), std::move(panal),
                                      std::move(sockets[1]), std::move(plan), std::move(log));
}

}  // namespace panal::netconfine
