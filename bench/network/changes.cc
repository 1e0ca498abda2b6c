#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>

#include "bench/backends/spread.h"
#include "bench/density/say.h"
#include "bench/density/stopwatch.h"
#include "bench/network/full_policies.h"
#include "bench/network/network.h"
#include "bench/network/node.h"
#include "bench/network/place.h"
#include "bench/network/qvd_rules.h"
#include "netconfine/netlink/enter.h"

namespace panal::bench {
namespace {

using netconfine::Addresses;
using netconfine::FirewallBackend;
using netconfine::Sender;
using nlohmann::json;

constexpr std::size_t kLot = 400;
constexpr unsigned kFewLots = 3;
/// A program for each line takes its time.
constexpr unsigned kMostQvdCycles = 11;

Result<double> milliseconds(const std::function<Result<void>()>& work) {
  const auto begin = Clock::now();
  PANAL_TRY(work());
  return seconds_since(begin) * 1000;
}

/// An audit between two changes, as panald's loop makes one: it forgets the connections of who is
/// gone, which whoever has the address next would have to wait for.
enum class Between : std::uint8_t { kAudit, kNothing };

/// Adds and removes what is in `more`, so many times.
Result<void> cycle(FirewallBackend& firewall, std::span<const Sender> more, unsigned times,
                   Between between, const std::string& suffix, json& out) {
  std::vector<Addresses> addresses;
  for (const Sender& one : more) addresses.push_back(one.addresses);
  std::vector<double> added, removed;
  for (unsigned i = 0; i < times; ++i) {
    PANAL_ASSIGN(const double in, milliseconds([&] { return firewall.put(more); }));
    PANAL_ASSIGN(const double away, milliseconds([&] { return firewall.remove(addresses); }));
    added.push_back(in);
    removed.push_back(away);
    if (between == Between::kNothing) continue;
    PANAL_ASSIGN(const auto drifts, firewall.audit());
    if (!drifts.empty())
      return fail(EPROTO, "the kernel has other rules than were meant: " + drifts.front().where +
                              " " + drifts.front().what);
  }
  out["add" + suffix] = to_json(spread_of(std::move(added)));
  out["remove" + suffix] = to_json(spread_of(std::move(removed)));
  return {};
}

/// Rules alone: what a link costs is none of the firewall's.
Result<json> change_ours(const NetworkOptions& options, const std::string& arm) {
  const std::size_t count = options.sizes.back();
  const bool programs = arm != "nftables";
  PANAL_ASSIGN(const UniqueFd network, new_network());
  PANAL_ASSIGN(const auto rules, full_rules());
  PANAL_ASSIGN(auto senders, full_senders(rules, count, kLot));
  const std::span<const Sender> all(senders);
  const std::vector<Sender> there(senders.begin(),
                                  senders.begin() + static_cast<std::ptrdiff_t>(count));
  json out = {{"desktops", count}};
  const auto work = [&]() -> Result<void> {
    PANAL_ASSIGN(const auto firewall, backend_of(arm)());
    PANAL_ASSIGN(out["load_ms"], milliseconds([&] { return firewall->load(rules, there); }));
    const auto one = all.subspan(count, 1);
    const unsigned cycles = programs ? options.slow_cycles : options.cycles;
    PANAL_TRY(cycle(*firewall, one, cycles, Between::kAudit, "_ms", out));
    PANAL_TRY(cycle(*firewall, one, cycles, Between::kNothing, "_again_ms", out));
    return cycle(*firewall, all.subspan(count), programs ? kFewLots : options.lots, Between::kAudit,
                 "_400_ms", out);
  };
  PANAL_TRY(netconfine::run_inside(network, work));
  return out;
}

Result<void> ebtables(const UniqueFd& network, const std::vector<QvdCommand>& commands,
                      const std::string& chain_of_desktop) {
  std::string listing;
  for (QvdCommand words : commands) {
    if (words[0] == "-D") {
      const unsigned number = qvd_jump_number(listing, chain_of_desktop + words[1]);
      if (number == 0) return fail(EPROTO, "no jump to the desktop's chain in " + words[1]);
      words.push_back(std::to_string(number));
    }
    PANAL_ASSIGN(listing, run_there(network, "ebtables", words));
  }
  return {};
}

/// As QVD does it: a program for each line.
Result<json> change_qvd(const NetworkOptions& options) {
  const std::size_t count = options.sizes.back();
  PANAL_ASSIGN(const UniqueFd network, new_network());
  PANAL_ASSIGN(const auto there, addresses_of(1, static_cast<DesktopId>(count)));
  PANAL_ASSIGN(const auto more,
               addresses_of(static_cast<DesktopId>(count + 1), static_cast<DesktopId>(count + 1)));
  const std::string chain = fmt::format("QVD_{}_", count + 1);
  json out = {{"desktops", count}};
  const auto load = [&]() -> Result<void> {
    const auto said = run_there(network, "ebtables-restore", {}, qvd_desktop_rules(there));
    return said ? Result<void>{} : tl::make_unexpected(said.error());
  };
  const auto add = [&] { return ebtables(network, qvd_adding(more.front()), chain); };
  const auto remove = [&] { return ebtables(network, qvd_removing(more.front()), chain); };
  PANAL_ASSIGN(out["load_ms"], milliseconds(load));
  std::vector<double> added, removed;
  for (unsigned i = 0; i < std::min(options.slow_cycles, kMostQvdCycles); ++i) {
    PANAL_ASSIGN(const double in, milliseconds(add));
    PANAL_ASSIGN(const double away, milliseconds(remove));
    added.push_back(in);
    removed.push_back(away);
  }
  out["add_ms"] = to_json(spread_of(std::move(added)));
  out["remove_ms"] = to_json(spread_of(std::move(removed)));
  return out;
}

}  // namespace

Result<json> network_changes(const NetworkOptions& options, const std::vector<std::string>& arms) {
  json result = json::object();
  for (const auto& arm : arms) {
    say("{}", arm);
    auto measured = is_ours(arm) ? change_ours(options, arm) : change_qvd(options);
    if (!measured && measured.error().code == EPROTONOSUPPORT) {
      result[arm] = {{"skipped", measured.error().message()}};
      continue;
    }
    if (!measured) return prefixed(arm, measured.error());
    result[arm] = std::move(*measured);
  }
  return result;
}

}  // namespace panal::bench
