#include "netconfine/uplink/uplink.h"

#include <fmt/format.h>
#include <linux/netlink.h>

#include <algorithm>
#include <functional>

#include "netconfine/link/find_link.h"
#include "netconfine/link/route_messages.h"
#include "netconfine/netlink/enter.h"
#include "netconfine/netlink/steps.h"
#include "netconfine/policy/prefix.h"
#include "netconfine/uplink/host_facts.h"
#include "netconfine/uplink/program.h"
#include "netconfine/uplink/uplink_messages.h"

namespace panal::netconfine {
namespace {

// Locally administered, and none of a desktop's (02:70, 06:70).
constexpr Mac kInsideMac = {0x0a, 0x70, 0, 0, 0, 2};
constexpr Mac kHostMac = {0x0a, 0x70, 0, 0, 0, 1};
// Each end's router: addresses nobody has, that stand only in the neighbour tables.
constexpr Ipv4 kToHost4 = {169, 254, 1, 2}, kToInside4 = {169, 254, 1, 3};
constexpr Ipv6 kToHost6 = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};
constexpr Ipv6 kToInside6 = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3};
// What a link's alias says it was: how it is found, and given back, after a crash.
constexpr std::string_view kNicAlias = "panal nic ";
constexpr const char* kOurAlias = "panal uplink";
constexpr const char* kPanal = "panal's network namespace";

// One thing up() does: how it reads, and how it is done. It may find it done already.
struct UplinkStep {
  std::string shown;
  std::function<Result<void>()> apply;
};

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

class HostUplink : public Uplink {
 public:
  HostUplink(UniqueFd host, UniqueFd panal, UplinkPlan plan, NetlinkSocket host_socket,
             NetlinkSocket panal_socket, LoggerPtr log)
      : host_(std::move(host)),
        panal_(std::move(panal)),
        plan_(std::move(plan)),
        host_socket_(std::move(host_socket)),
        panal_socket_(std::move(panal_socket)),
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
      auto undone = down();
      if (!undone) log_->error("uplink_undo_failed", {{"error", undone.error().message()}});
      return failed(std::move(done.error()));
    }
    log_->info("uplink_up", {{"kind", to_string(plan_.kind)}, {"device", plan_.device}});
    return {};
  }

  Result<void> down() override {
    // No packet is forwarded from here on, whatever else fails.
    PANAL_TRY(set_inside({{"ipv4/ip_forward", "0"}, {"ipv6/conf/all/forwarding", "0"}}));
    PANAL_TRY(take_away_link());
    PANAL_TRY(run_inside(host_, [&] { return take_away_host_side(); }));
    expected_.clear();
    return {};
  }

  Result<std::vector<Drift>> audit() override {
    std::vector<Drift> drifts;
    const auto note = [&](bool good, const std::string& where, const std::string& what) {
      if (!good) drifts.push_back({where, what});
    };
    const auto link = find_link(panal_socket_, kUplinkName);
    if (!link && !link.error().is_gone()) return tl::make_unexpected(link.error());
    const std::string where = fmt::format("link {}", kUplinkName);
    if (plan_.kind == UplinkKind::kNone) {
      note(!link, where, "is there, and no uplink is wanted");
      return drifts;
    }
    note(link.has_value(), where, "is missing");
    if (link) {
      note(link->up, where, "is down");
      note(link->alias == alias(), where, "is another");
      PANAL_ASSIGN(const auto routes, all_routes(panal_socket_));
      for (const Prefix& wanted : routes_wanted()) {
        const bool there = std::any_of(routes.begin(), routes.end(), [&](const FoundRoute& route) {
          return route.to == wanted && route.index == link->index;
        });
        note(there, fmt::format("route to {}", to_string(wanted)), "is missing");
      }
    }
    PANAL_TRY(run_inside(panal_, [&]() -> Result<void> {
      PANAL_ASSIGN(const auto forwards, read_net_setting("ipv4/ip_forward"));
      note(forwards == "1", "net.ipv4.ip_forward", "is off");
      return {};
    }));
    if (plan_.kind == UplinkKind::kVeth) {
      PANAL_TRY(run_inside(host_, [&] { return audit_host(drifts); }));
    }
    return drifts;
  }

  Result<void> cut_off() override {
    const auto link = find_link(panal_socket_, kUplinkName);
    if (!link && link.error().is_gone()) return {};
    if (!link) return tl::make_unexpected(link.error());
    std::vector<Message> messages;
    messages.push_back(set_link_down(link->index));
    return panal_socket_.transact(std::move(messages));
  }

 private:
  using Settings = std::vector<std::pair<std::string, std::string>>;

  [[nodiscard]] std::string alias() const {
    return plan_.kind == UplinkKind::kNic ? std::string(kNicAlias) + plan_.device : kOurAlias;
  }

  [[nodiscard]] std::vector<Prefix> routes_wanted() const {
    std::vector<Prefix> wanted = plan_.direct;
    const bool by_host = plan_.kind == UplinkKind::kVeth;
    if (by_host || plan_.gateway4) wanted.push_back(everything(false));
    if ((by_host && host_forwards6_) || plan_.gateway6) wanted.push_back(everything(true));
    return wanted;
  }

  Result<void> set_inside(const Settings& settings) {
    return run_inside(panal_, [&] { return write_all(settings); });
  }

  // A kernel booted without IPv6 has no such settings: nothing to set.
  static Result<void> write_all(const Settings& settings) {
    for (const auto& [path, value] : settings) {
      auto written = write_net_setting(path, value);
      if (!written && !(written.error().is_gone() && path.starts_with("ipv6/"))) return written;
    }
    return {};
  }

  static std::string shown_settings(const std::string& where, const Settings& settings) {
    std::string text = fmt::format("# in {}:", where);
    for (const auto& [path, value] : settings) {
      std::string key = path;
      std::replace(key.begin(), key.end(), '/', '.');
      text += fmt::format("\nsysctl -w net.{}={}", key, value);
    }
    return text;
  }

  UplinkStep host_settings(Settings settings) {
    std::string text = shown_settings("the host's network namespace", settings);
    return {std::move(text),
            [this, settings] { return run_inside(host_, [&] { return write_all(settings); }); }};
  }

  UplinkStep inside_settings(Settings settings) {
    std::string text = shown_settings(kPanal, settings);
    return {std::move(text), [this, settings] { return set_inside(settings); }};
  }

  Result<std::vector<UplinkStep>> planned() {
    std::vector<UplinkStep> steps;
    if (plan_.kind == UplinkKind::kNone) {
      steps.push_back(
          {"# no uplink: nothing is done to the host; what an earlier one left goes", {}});
      return steps;
    }
    HostFacts facts;
    PANAL_TRY(run_inside(host_, [&]() -> Result<void> {
      PANAL_ASSIGN(facts, look_at_host(host_socket_, plan_));
      return {};
    }));
    host_forwards6_ = facts.forwards6;
    PANAL_TRY(check(facts));
    switch (plan_.kind) {
      case UplinkKind::kNic: plan_nic(facts, steps); break;
      case UplinkKind::kMacvlan: plan_macvlan(facts, steps); break;
      default: plan_veth(facts, steps); break;
    }
    return steps;
  }

  Result<void> check(const HostFacts& facts) {
    const auto inside = find_link(panal_socket_, kUplinkName);
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
    const auto inside = find_link(panal_socket_, kUplinkName);
    if (!inside && !inside.error().is_gone()) return tl::make_unexpected(inside.error());
    if (inside && inside->alias == alias() && kind_fits(*inside)) return true;
    PANAL_TRY(take_away_link());
    return false;
  }

  [[nodiscard]] bool kind_fits(const FoundLink& link) const {
    switch (plan_.kind) {
      case UplinkKind::kMacvlan: return link.kind == "macvlan";
      case UplinkKind::kVeth: return link.kind == "veth";
      default: return true;
    }
  }

  Result<void> take_away_link() {
    const auto inside = find_link(panal_socket_, kUplinkName);
    if (!inside && inside.error().is_gone()) return {};
    if (!inside) return tl::make_unexpected(inside.error());
    std::vector<Message> messages;
    if (inside->alias.starts_with(kNicAlias)) {
      // A card goes back under the name it had.
      messages.push_back(
          move_link(inside->index, host_.get(), inside->alias.substr(kNicAlias.size())));
    } else {
      PANAL_ASSIGN(auto message, delete_link(kUplinkName));
      messages.push_back(std::move(message));
    }
    return panal_socket_.transact(std::move(messages));
  }

  void plan_nic(const HostFacts& facts, std::vector<UplinkStep>& steps) {
    const int device = facts.device;
    steps.push_back(
        {fmt::format("ip link set {} alias \"{}\"\nip link set {} netns <panal> name {}",
                     plan_.device, alias(), plan_.device, kUplinkName),
         [this, device]() -> Result<void> {
           PANAL_ASSIGN(const bool keeps, keeps_link());
           if (keeps) return {};
           std::vector<Message> messages;
           messages.push_back(set_alias(device, alias()));
           messages.push_back(move_link(device, panal_.get(), kUplinkName));
           return host_socket_.transact(std::move(messages));
         }});
    plan_addressed(steps);
  }

  void plan_macvlan(const HostFacts& facts, std::vector<UplinkStep>& steps) {
    const int device = facts.device;
    const Mac mac = macvlan_mac(facts.device_mac);
    steps.push_back(
        {fmt::format("ip link add {} address {} link {} netns <panal> type macvlan mode private",
                     kUplinkName, to_string(mac), plan_.device),
         [this, device, mac]() -> Result<void> {
           PANAL_ASSIGN(const bool keeps, keeps_link());
           if (keeps) return {};
           std::vector<Message> messages;
           messages.push_back(add_macvlan(device, kUplinkName, mac, panal_.get()));
           PANAL_TRY(host_socket_.transact(std::move(messages)));
           return mark_inside();
         }});
    plan_addressed(steps);
  }

  Result<void> mark_inside() {
    PANAL_ASSIGN(const auto inside, find_link(panal_socket_, kUplinkName));
    std::vector<Message> messages;
    messages.push_back(set_alias(inside.index, alias()));
    return panal_socket_.transact(std::move(messages));
  }

  // A link in the LAN: everything goes to the router, so that it has one neighbour and not as many
  // as there are addresses around.
  void plan_addressed(std::vector<UplinkStep>& steps) {
    const std::string v4 = fmt::format("ipv4/conf/{}/", kUplinkName);
    const std::string v6 = fmt::format("ipv6/conf/{}/", kUplinkName);
    steps.push_back(inside_settings({{"ipv4/conf/all/arp_ignore", "0"},
                                     {v4 + "arp_ignore", "1"},
                                     {v4 + "arp_announce", "2"},
                                     {v4 + "rp_filter", "1"},
                                     {v6 + "accept_ra", "0"},
                                     {v6 + "accept_dad", "0"},
                                     {v6 + "addr_gen_mode", "1"}}));
    std::string text = fmt::format("# in {}:\nip link set {} up", kPanal, kUplinkName);
    const auto words = [&](const std::string& line) { text += "\n" + line; };
    if (plan_.address4) {
      words(
          fmt::format("ip address replace {}/32 dev {}", to_string(*plan_.address4), kUplinkName));
      words(fmt::format("ip route replace default via {} dev {} onlink", to_string(*plan_.gateway4),
                        kUplinkName));
    }
    if (plan_.address6) {
      words(fmt::format("ip address replace {}/128 dev {} nodad", to_string(*plan_.address6),
                        kUplinkName));
      words(fmt::format("ip -6 route replace default via {} dev {} onlink",
                        to_string(*plan_.gateway6), kUplinkName));
    }
    for (const Prefix& prefix : plan_.direct) {
      words(fmt::format("ip route replace {} dev {}", to_string(prefix), kUplinkName));
    }
    steps.push_back({std::move(text), [this]() -> Result<void> {
                       PANAL_ASSIGN(const auto link, find_link(panal_socket_, kUplinkName));
                       std::vector<Step> requests;
                       requests.push_back({link_up(link.index), {}});
                       if (plan_.address4) {
                         PANAL_ASSIGN(auto address, add_address(link.index, Ip(*plan_.address4)));
                         requests.push_back({std::move(address), {EEXIST}});
                       }
                       if (plan_.address6) {
                         PANAL_ASSIGN(auto address, add_address(link.index, Ip(*plan_.address6)));
                         requests.push_back({std::move(address), {EEXIST}});
                       }
                       if (plan_.gateway4)
                         put_default(link.index, prefix_of(*plan_.gateway4), requests);
                       if (plan_.gateway6)
                         put_default(link.index, prefix_of(*plan_.gateway6), requests);
                       for (const Prefix& prefix : plan_.direct) {
                         requests.push_back({put_route(link.index, prefix, nullptr), {}});
                       }
                       return carry_out(panal_socket_, std::move(requests));
                     }});
    forward_inside(plan_.address6.has_value(), steps);
  }

  static void put_default(int index, const Prefix& router, std::vector<Step>& requests) {
    requests.push_back({put_route(index, everything(router.v6), &router), {}});
  }

  void forward_inside(bool v6, std::vector<UplinkStep>& steps) {
    // Writing ip_forward sets what else it likes: those that wall desktops in follow it.
    steps.push_back(inside_settings({{"ipv4/ip_forward", "1"},
                                     {"ipv4/conf/all/accept_redirects", "0"},
                                     {"ipv4/conf/all/send_redirects", "0"},
                                     {"ipv6/conf/all/forwarding", v6 ? "1" : "0"}}));
  }

  // --- veth: the host's side -----------------------------------------------------------------

  void plan_veth(const HostFacts& facts, std::vector<UplinkStep>& steps) {
    HostTableFacts table;
    table.device = plan_.device;
    table.desktops4 = to_string(plan_.desktops4);
    table.desktops6 = facts.forwards6 ? to_string(plan_.desktops6) : "";
    // Found again after a crash: the device forwards by now, but we are who made it.
    table.guard = !facts.forwards4 || (facts.mark.device == plan_.device && facts.mark.guard);
    table.next_hops = facts.shares.next_hops;
    table.connections = facts.shares.connections;
    if (!facts.mark.device.empty() && facts.mark.device != plan_.device && facts.mark.guard) {
      steps.push_back(
          host_settings({{fmt::format("ipv4/conf/{}/forwarding", facts.mark.device), "0"}}));
    }
    const std::string text = host_table(table);
    steps.push_back({"nft -f - <<'END'\n" + text + "END", [this, text]() -> Result<void> {
                       return run_inside(host_, [&]() -> Result<void> {
                         PANAL_TRY(must_run({"nft", "-f", "-"}, text));
                         PANAL_ASSIGN(expected_, listed_table());
                         return {};
                       });
                     }});
    plan_filters(facts, steps);
    const std::string v4 = fmt::format("ipv4/conf/{}/", kHostUplinkName);
    const std::string v6 = fmt::format("ipv6/conf/{}/", kHostUplinkName);
    steps.push_back(
        {fmt::format("ip link add {} address {} type veth peer name {} address {} netns <panal>",
                     kHostUplinkName, to_string(kHostMac), kUplinkName, to_string(kInsideMac)),
         [this] { return make_pair(); }});
    steps.push_back(host_settings({{v4 + "rp_filter", "1"},
                                   {v4 + "accept_redirects", "0"},
                                   {v4 + "send_redirects", "0"},
                                   {v4 + "accept_source_route", "0"},
                                   {v6 + "addr_gen_mode", "1"},
                                   {v6 + "accept_ra", "0"},
                                   {v6 + "accept_redirects", "0"}}));
    steps.push_back(join(true, facts.forwards6));
    Settings forwarding = {{v4 + "forwarding", "1"}};
    if (!facts.forwards4) {
      forwarding.emplace_back(fmt::format("ipv4/conf/{}/forwarding", plan_.device), "1");
    }
    steps.push_back(host_settings(std::move(forwarding)));
    if (!facts.forwards6) {
      steps.push_back(
          {"# IPv6 does not go out: this host does not forward it. Whoever wants that sets "
           "net.ipv6.conf.all.forwarding=1 (and accept_ra=2 where the host itself "
           "listens to a router), and starts panal anew",
           {}});
    }
    steps.push_back(join(false, facts.forwards6));
    forward_inside(facts.forwards6, steps);
  }

  // Programs that drop what the host forwards (Docker's FORWARD) must be told; an accept of ours in
  // a table of ours would not reach theirs. Rules for another device, or of another day, go.
  void plan_filters(const HostFacts& facts, std::vector<UplinkStep>& steps) {
    for (const auto& filter : facts.filters) {
      const auto wanted = filter.v6 && !facts.forwards6 ? std::vector<Words>{}
                                                        : forward_rules(filter, plan_.device);
      const auto old = facts.our_rules.find(filter.program);
      if (old != facts.our_rules.end()) {
        for (const Words& rule : old->second) {
          if (std::find(wanted.begin(), wanted.end(), rule) == wanted.end()) {
            steps.push_back(filter_step(filter.program, "-D", rule));
          }
        }
      }
      for (const Words& rule : wanted) steps.push_back(filter_step(filter.program, "-I", rule));
    }
  }

  static Words filter_words(const std::string& program, const char* verb, const Words& rule) {
    Words words = {program, "-w", "5", verb};
    words.insert(words.end(), rule.begin(), rule.end());
    return words;
  }

  UplinkStep filter_step(const std::string& program, const char* verb, const Words& rule) {
    const Words words = filter_words(program, verb, rule);
    const Words ask = filter_words(program, "-C", rule);
    const bool adds = std::string_view(verb) == "-I";
    return {shown(words), [this, words, ask, adds]() -> Result<void> {
              return run_inside(host_, [&]() -> Result<void> {
                if (adds) {
                  PANAL_ASSIGN(const auto there, run_program(ask));
                  if (there.status == 0) return {};
                }
                PANAL_TRY(must_run(words));
                return {};
              });
            }};
  }

  Result<void> make_pair() {
    PANAL_ASSIGN(const bool keeps, keeps_link());
    const auto outside = find_link(host_socket_, kHostUplinkName);
    if (!outside && !outside.error().is_gone()) return tl::make_unexpected(outside.error());
    if (keeps && outside && outside->alias == kOurAlias) return {};
    // Half a pair, or one whose other half is somewhere else.
    PANAL_TRY(take_away_link());
    if (outside && find_link(host_socket_, kHostUplinkName)) {
      if (outside->kind != "veth") {
        return fail(EEXIST,
                    fmt::format("link {} of the host is no veth: rename it", kHostUplinkName));
      }
      PANAL_ASSIGN(auto message, delete_link(kHostUplinkName));
      std::vector<Message> messages;
      messages.push_back(std::move(message));
      PANAL_TRY(host_socket_.transact(std::move(messages)));
    }
    std::vector<Message> messages;
    messages.push_back(
        add_veth_pair(kHostUplinkName, kHostMac, kUplinkName, kInsideMac, panal_.get()));
    PANAL_TRY(host_socket_.transact(std::move(messages)));
    PANAL_ASSIGN(const auto made, find_link(host_socket_, kHostUplinkName));
    std::vector<Message> mark;
    mark.push_back(set_alias(made.index, kOurAlias));
    PANAL_TRY(host_socket_.transact(std::move(mark)));
    return mark_inside();
  }

  // One end of the pair: up, its neighbour for ever, its routes over it.
  UplinkStep join(bool on_host, bool v6) {
    const char* name = on_host ? kHostUplinkName : kUplinkName;
    const Mac& mac = on_host ? kInsideMac : kHostMac;
    struct Way {
      Prefix to;
      Ip router;
      Prefix router_prefix;
    };
    std::vector<Way> ways;
    const Ipv4& router4 = on_host ? kToInside4 : kToHost4;
    const Ipv6& router6 = on_host ? kToInside6 : kToHost6;
    ways.push_back(
        {on_host ? plan_.desktops4 : everything(false), Ip(router4), prefix_of(router4)});
    if (v6) {
      ways.push_back(
          {on_host ? plan_.desktops6 : everything(true), Ip(router6), prefix_of(router6)});
    }
    std::string text = fmt::format("# in {}:\nip link set {} arp off up",
                                   on_host ? "the host's network namespace" : kPanal, name);
    for (const auto& way : ways) {
      text += fmt::format("\nip neighbour replace {} lladdr {} dev {} nud permanent",
                          way.router.text, to_string(mac), name);
      text +=
          fmt::format("\nip route replace {} via {} dev {} onlink",
                      way.to.length == 0 ? "default" : to_string(way.to), way.router.text, name);
    }
    return {std::move(text), [this, on_host, name, mac, ways]() -> Result<void> {
              NetlinkSocket& socket = on_host ? host_socket_ : panal_socket_;
              PANAL_ASSIGN(const auto link, find_link(socket, name));
              std::vector<Step> requests;
              requests.push_back({link_up(link.index), {}});
              for (const auto& way : ways) {
                PANAL_ASSIGN(auto neighbour, add_neighbour(link.index, way.router, mac));
                requests.push_back({std::move(neighbour), {}});
                requests.push_back({put_route(link.index, way.to, &way.router_prefix), {}});
              }
              return carry_out(socket, std::move(requests));
            }};
  }

  static Result<std::string> listed_table() {
    // Without the sets' passing elements and the counters.
    return must_run({"nft", "-s", "-t", "list", "table", "inet", kHostTable});
  }

  Result<void> audit_host(std::vector<Drift>& drifts) {
    const auto note = [&](bool good, const std::string& where, const std::string& what) {
      if (!good) drifts.push_back({where, what});
    };
    const auto link = find_link(host_socket_, kHostUplinkName);
    note(link && link->up, fmt::format("link {} of the host", kHostUplinkName),
         link ? "is down" : "is missing");
    const auto table = listed_table();
    note(table && *table == expected_, fmt::format("table inet {} of the host", kHostTable),
         table ? "is another" : "is missing");
    for (const auto& device : {plan_.device, std::string(kHostUplinkName)}) {
      const auto forwards = read_net_setting(fmt::format("ipv4/conf/{}/forwarding", device));
      note(forwards && *forwards == "1", fmt::format("forwarding of {} on the host", device),
           "is off");
    }
    PANAL_ASSIGN(const auto facts, look_at_host(host_socket_, plan_));
    for (const auto& filter : facts.filters) {
      if (filter.v6 && !host_forwards6_) continue;
      for (const Words& rule : forward_rules(filter, plan_.device)) {
        PANAL_ASSIGN(const auto there, run_program(filter_words(filter.program, "-C", rule)));
        note(there.status == 0, fmt::format("{} of the host", filter.program),
             "misses the rule that lets the uplink through");
      }
    }
    return {};
  }

  Result<void> take_away_host_side() {
    const auto outside = find_link(host_socket_, kHostUplinkName);
    if (outside && outside->kind == "veth") {
      PANAL_ASSIGN(auto message, delete_link(kHostUplinkName));
      std::vector<Step> steps;
      steps.push_back({std::move(message), {ENODEV}});
      PANAL_TRY(carry_out(host_socket_, std::move(steps)));
    }
    PANAL_ASSIGN(const auto facts, look_at_host(host_socket_, plan_));
    if (facts.mark.guard) {
      auto restored =
          write_net_setting(fmt::format("ipv4/conf/{}/forwarding", facts.mark.device), "0");
      // The device itself may be gone.
      if (!restored && !restored.error().is_gone()) return restored;
    }
    for (const auto& [program, rules] : facts.our_rules) {
      for (const Words& rule : rules) PANAL_TRY(must_run(filter_words(program, "-D", rule)));
    }
    // The table last: it is what keeps the device from forwarding for others.
    if (!facts.has_table) return {};
    PANAL_TRY(must_run({"nft", "-f", "-"}, no_host_table()));
    return {};
  }

  UniqueFd host_, panal_;
  UplinkPlan plan_;
  NetlinkSocket host_socket_, panal_socket_;
  LoggerPtr log_;
  bool host_forwards6_ = false;
  std::string expected_;  ///< the host's table as nft lists it after up()
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
  return std::make_unique<HostUplink>(std::move(host), std::move(panal), std::move(plan),
                                      std::move(sockets[0]), std::move(sockets[1]), std::move(log));
}

}  // namespace panal::netconfine
