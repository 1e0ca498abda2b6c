#include "netconfine/uplink/host_side.h"

#include <fmt/format.h>

#include <algorithm>

#include "netconfine/link/find_link.h"
#include "netconfine/link/route_messages.h"
#include "netconfine/netlink/enter.h"
#include "netconfine/netlink/steps.h"
#include "netconfine/policy/prefix.h"
#include "netconfine/uplink/program.h"
#include "netconfine/uplink/uplink_messages.h"

namespace panal::netconfine {
namespace {

std::string forwarding_of(const std::string& device) {
  return fmt::format("ipv4/conf/{}/forwarding", device);
}

Words filter_words(const std::string& program, const char* verb, const Words& rule) {
  Words words = {program, "-w", "5", verb};
  words.insert(words.end(), rule.begin(), rule.end());
  return words;
}

// Without the sets' passing elements, and without counters.
Result<std::string> listed_table() {
  return must_run({"nft", "-s", "-t", "list", "table", "inet", kHostTable});
}

}  // namespace

Result<HostFacts> HostSide::look() {
  HostFacts facts;
  PANAL_TRY(run_inside(space_, [&]() -> Result<void> {
    PANAL_ASSIGN(facts, look_at_host(socket_, plan_));
    return {};
  }));
  forwards6_ = facts.forwards6;
  if (facts.mark.device.empty()) facts.mark = mark_;
  // An earlier process's: cut_off() may come before anything is made.
  if (mark_.device.empty()) mark_ = facts.mark;
  return facts;
}

void HostSide::plan_rules(const HostFacts& facts, std::vector<UplinkStep>& steps) {
  HostTableFacts table;
  table.device = plan_.device;
  table.desktops4 = to_string(plan_.desktops4);
  table.desktops6 = facts.forwards6 ? to_string(plan_.desktops6) : "";
  // Found again after a crash: the device forwards by now, but we are who made it.
  table.guard = !facts.forwards4 || (facts.mark.device == plan_.device && facts.mark.guard);
  const HostTableMark mark{plan_.device, table.guard};
  table.next_hops = facts.shares.next_hops;
  table.connections = facts.shares.connections;
  // Of an earlier configuration.
  if (facts.mark.guard && facts.mark.device != plan_.device) {
    steps.push_back(settings_step(space_, kHostSpace, {{forwarding_of(facts.mark.device), "0"}}));
  }
  const std::string text = host_table(table);
  steps.push_back({"nft -f - <<'END'\n" + text + "END", [this, text, mark]() -> Result<void> {
                     return run_inside(space_, [&]() -> Result<void> {
                       PANAL_TRY(must_run({"nft", "-f", "-"}, text));
                       mark_ = mark;
                       PANAL_ASSIGN(expected_, listed_table());
                       return {};
                     });
                   }});
  // Programs that drop what the host forwards (Docker's FORWARD) must be told: an accept in a table
  // of ours does not reach theirs. Rules for another device, or of another day, go.
  for (const auto& filter : facts.filters) {
    const auto wanted =
        filter.v6 && !facts.forwards6 ? std::vector<Words>{} : forward_rules(filter, plan_.device);
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

UplinkStep HostSide::filter_step(const std::string& program, const char* verb, const Words& rule) {
  const Words words = filter_words(program, verb, rule);
  const Words ask = filter_words(program, "-C", rule);
  const bool adds = std::string_view(verb) == "-I";
  return {shown(words), [this, words, ask, adds]() -> Result<void> {
            return run_inside(space_, [&]() -> Result<void> {
              if (adds) {
                PANAL_ASSIGN(const auto there, run_program(ask));
                if (there.status == 0) return {};
              }
              PANAL_TRY(must_run(words));
              return {};
            });
          }};
}

void HostSide::plan_forwarding(const HostFacts& facts, std::vector<UplinkStep>& steps) {
  NetSettings settings = {{forwarding_of(kHostUplinkName), "1"}};
  if (!facts.forwards4) settings.emplace_back(forwarding_of(plan_.device), "1");
  steps.push_back(settings_step(space_, kHostSpace, std::move(settings)));
  if (!facts.forwards6) {
    steps.push_back(
        {"# IPv6 does not go out: this host does not forward it. Whoever wants that sets "
         "net.ipv6.conf.all.forwarding=1 (and accept_ra=2 where the host itself listens to a "
         "router), "
         "and starts panal anew",
         {}});
  }
}

Result<void> HostSide::take_away() {
  expected_.clear();
  return run_inside(space_, [&] { return take_away_inside(); });
}

Result<void> HostSide::take_away_inside() {
  // Before the link goes: it may be all that remembers.
  PANAL_ASSIGN(auto facts, look_at_host(socket_, plan_));
  if (facts.mark.device.empty()) facts.mark = mark_;
  const auto link = find_link(socket_, kHostUplinkName);
  if (!link && !link.error().is_gone()) return tl::make_unexpected(link.error());
  if (link && link->kind == "veth") {
    PANAL_ASSIGN(auto message, delete_link(kHostUplinkName));
    std::vector<Step> steps;
    steps.push_back({std::move(message), {ENODEV}});
    PANAL_TRY(carry_out(socket_, std::move(steps)));
  }
  if (facts.mark.guard) {
    auto restored = write_net_settings({{forwarding_of(facts.mark.device), "0"}});
    // The device itself may be gone.
    if (!restored && !restored.error().is_gone()) return restored;
  }
  for (const auto& [program, rules] : facts.our_rules) {
    for (const Words& rule : rules) PANAL_TRY(must_run(filter_words(program, "-D", rule)));
  }
  mark_ = {};
  // The table last: it is what keeps the device from forwarding for others.
  if (!facts.has_table) return {};
  PANAL_TRY(must_run({"nft", "-f", "-"}, no_host_table()));
  return {};
}

Result<void> HostSide::audit(std::vector<Drift>& drifts) {
  return run_inside(space_, [&] { return audit_inside(drifts); });
}

Result<void> HostSide::stop_forwarding() {
  if (!mark_.guard) return {};
  auto stopped =
      run_inside(space_, [&] { return write_net_settings({{forwarding_of(mark_.device), "0"}}); });
  // The device itself may be gone.
  if (!stopped && stopped.error().is_gone()) return {};
  return stopped;
}

Result<void> HostSide::audit_inside(std::vector<Drift>& drifts) {
  const auto note = [&](bool good, const std::string& where, const std::string& what) {
    if (!good) drifts.push_back({where + " of the host", what});
  };
  const auto link = find_link(socket_, kHostUplinkName);
  note(link && link->up, fmt::format("link {}", kHostUplinkName), link ? "is down" : "is missing");
  const auto table = listed_table();
  note(table && *table == expected_, fmt::format("table inet {}", kHostTable),
       table ? "is another" : "is missing");
  for (const auto& device : {plan_.device, std::string(kHostUplinkName)}) {
    const auto forwards = read_net_setting(forwarding_of(device));
    note(forwards && *forwards == "1", fmt::format("forwarding of {}", device), "is off");
  }
  PANAL_ASSIGN(const auto routes, all_routes(socket_));
  for (const Prefix& wanted : {plan_.desktops4, plan_.desktops6}) {
    if (wanted.v6 && !forwards6_) continue;
    const bool there = std::any_of(routes.begin(), routes.end(), [&](const FoundRoute& route) {
      return route.to == wanted && link && route.index == link->index;
    });
    note(there, "route to " + to_string(wanted), "is missing");
  }
  PANAL_ASSIGN(const auto facts, look_at_host(socket_, plan_));
  for (const auto& filter : facts.filters) {
    if (filter.v6 && !forwards6_) continue;
    for (const Words& rule : forward_rules(filter, plan_.device)) {
      PANAL_ASSIGN(const auto there, run_program(filter_words(filter.program, "-C", rule)));
      note(there.status == 0, filter.program, "misses the rule that lets the uplink through");
    }
  }
  return {};
}

}  // namespace panal::netconfine
