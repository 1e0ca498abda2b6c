#include "bench/density/confinement.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/density/bench_node.h"
#include "bench/density/command.h"
#include "bench/density/confinement_ratios.h"
#include "bench/density/hold.h"
#include "bench/density/load.h"
#include "bench/density/lot.h"
#include "bench/density/sampler.h"
#include "bench/density/say.h"
#include "bench/density/stopwatch.h"
#include "bench/density/units.h"
#include "bench/network/full_policies.h"
#include "engine/base/cleanup.h"
#include "engine/kernel/cpu_times.h"
#include "netconfine/policy/text.h"
#include "netconfine/uplink/uplink_plan.h"

namespace panal::bench {
namespace {

using nlohmann::json;

constexpr const char* kImage = "icewm";
/// A link of the lab's that leads nowhere: by which its host would forward.
constexpr const char* kOutside = "bench-out";
constexpr const char* kOutsidePeer = "bench-far";
/// A lot that has just started is settled when each of it uses less than this of a core.
constexpr double kLotSettledCores = 0.002;
constexpr std::chrono::seconds kSettlePatience{60};
/// Until the desktops of a new panald are its own, and its uplink stands.
constexpr std::chrono::seconds kTakeOverPatience{180};
/// How many are started by one command before anything is measured.
constexpr std::size_t kBackgroundLot = 40;

BenchNetwork confined_network() {
  return {
      fmt::format("backend = \"nftables\"\nuplink = \"veth\"\nuplink_device = \"{}\"\n", kOutside),
      netconfine::print_policies(full_policies()), false};
}

/// Policies of the same names, that allow nothing: else panald would say of every desktop, whenever
/// it looks, that its policy is missing, and this arm would pay for it.
BenchNetwork open_network() {
  const netconfine::PolicySet all = full_policies();
  netconfine::PolicySet nothing;
  for (const auto& [name, policy] : all.policies) nothing.policies[name].name = name;
  return {"", netconfine::print_policies(nothing), true};
}

std::vector<std::string> words_for(std::vector<std::string> words,
                                   const std::vector<Account>& accounts) {
  for (const Account& account : accounts) words.push_back(account.desktop);
  return words;
}

/// Time that somebody had of the machine's CPUs, the kernel for its own work included, ms.
Result<double> busy_ms(const Tree& tree) {
  PANAL_ASSIGN(const CpuTimes cpu, kernel::read_cpu_times(tree));
  return static_cast<double>(cpu.user_ns + cpu.nice_ns + cpu.system_ns + cpu.irq_ns +
                             cpu.softirq_ns) /
         1e6;
}

Result<Cleanup> make_outside() {
  PANAL_TRY(
      output_of({"ip", "link", "add", kOutside, "type", "veth", "peer", "name", kOutsidePeer}));
  Cleanup gone([] { (void)run_command({"ip", "link", "delete", kOutside}); });
  PANAL_TRY(output_of({"ip", "address", "add", "192.0.2.1/24", "dev", kOutside}));
  for (const char* link : {kOutside, kOutsidePeer})
    PANAL_TRY(output_of({"ip", "link", "set", link, "up"}));
  return gone;
}

/// Each policy goes to every twentieth desktop.
Result<void> deal_out_policies(const BenchNode& node, const std::vector<Account>& accounts) {
  const netconfine::PolicySet set = full_policies();
  std::vector<std::vector<std::string>> commands;
  for (const auto& [name, policy] : set.policies) commands.push_back({"net", "assign", name});
  for (std::size_t i = 0; i < accounts.size(); ++i) {
    auto& words = commands[i % commands.size()];
    words.insert(words.end(), {"--desktop", accounts[i].desktop});
  }
  for (const auto& words : commands)
    if (words.size() > 3) PANAL_TRY(node.panal(words));
  return {};
}

/// That an arm is what it is called: measuring the wrong one would look like a good result.
Result<void> check_arm(const BenchNode& node, bool confined) {
  PANAL_ASSIGN(const auto tables,
               output_of({"nsenter", "--net=" + node.config().net_namespace_file(), "nft", "list",
                          "tables"}));
  const bool rules = tables.find("table inet panal") != std::string::npos;
  if (rules != confined)
    return fail(EPROTO, confined ? "there are no rules where desktops are confined"
                                 : "there are rules where desktops are not confined");
  const auto begin = Clock::now();
  while (true) {
    PANAL_ASSIGN(const auto uplink,
                 run_command({"ip", "link", "show", netconfine::kHostUplinkName}));
    if ((uplink.exit_code == 0) == confined) break;
    if (Clock::now() - begin > kTakeOverPatience)
      return fail(ETIMEDOUT, confined ? "there is no uplink" : "the uplink does not go");
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  if (!confined) return {};
  PANAL_ASSIGN(const auto text, node.panal({"net", "show", "--json"}));
  const json shown = json::parse(text, nullptr, false);
  if (!shown.is_object() || !shown.value("there", false) || shown.value("none", 1) != 0 ||
      !shown.value("missing", json::array()).empty())
    return fail(EPROTO, "not every desktop has a policy: " + text);
  return {};
}

/// Bytes.
struct Level {
  double available = 0, load = 0, lab = 0;
};

class Comparison {
 public:
  Comparison(BenchNode& node, Load& load, Sampler sampler, Tree tree,
             const ConfinementOptions& options, const std::vector<Account>& accounts)
      : node_(node),
        load_(load),
        sampler_(std::move(sampler)),
        tree_(std::move(tree)),
        options_(options),
        lot_(accounts.begin(), accounts.begin() + static_cast<std::ptrdiff_t>(options.lot)),
        background_(accounts.begin() + static_cast<std::ptrdiff_t>(options.lot), accounts.end()) {}

  /// `begin`: of all that the limit is about.
  Result<json> run(Clock::time_point begin) {
    PANAL_TRY(start_background());
    // The first lot of all finds cold caches.
    PANAL_TRY(measure(true));
    std::vector<LotCost> lots;
    double longest = 0;
    unsigned pairs = 0;
    while (pairs < options_.pairs) {
      const double elapsed = seconds_since(begin);
      if (options_.limit_seconds > 0 && !another_fits(elapsed, longest, options_.limit_seconds))
        break;
      const bool first = confined_first(pairs);
      for (const bool confined : {first, !first}) {
        PANAL_ASSIGN(const LotCost lot, measure(confined));
        lots.push_back(lot);
      }
      longest = std::max(longest, seconds_since(begin) - elapsed);
      ++pairs;
      say("pair {} of {}: {}", pairs, options_.pairs, to_json(confinement_ratios(lots)).dump());
    }
    if (pairs < std::min(options_.least_pairs, options_.pairs))
      return fail(ETIMEDOUT, fmt::format("only {} pairs in {:.0f} s; a ratio wants {}", pairs,
                                         seconds_since(begin), options_.least_pairs));
    json out = {{"count", options_.count},
                {"lot", lot_.size()},
                {"background", background_.size()},
                {"pairs", pairs},
                {"ratios", to_json(confinement_ratios(lots))},
                {"lots", json::array()},
                {"seconds", seconds_since(begin)}};
    for (const LotCost& lot : lots) out["lots"].push_back(to_json(lot));
    return out;
  }

 private:
  Result<void> start_background() {
    say("{} desktops that stay", background_.size());
    for (std::size_t i = 0; i < background_.size(); i += kBackgroundLot) {
      const auto from = background_.begin() + static_cast<std::ptrdiff_t>(i);
      const auto number = std::min(kBackgroundLot, background_.size() - i);
      PANAL_TRY(node_.panal(
          words_for({"desktop", "start"}, {from, from + static_cast<std::ptrdiff_t>(number)})));
    }
    return {};
  }

  Result<void> take_over(bool confined) {
    PANAL_TRY(node_.use_network(confined ? confined_network() : open_network()));
    if (!background_.empty())
      PANAL_TRY(node_.wait_for(
          background_, "their agents", [](const LiveDesktop& one) { return one.agent; },
          kTakeOverPatience));
    PANAL_TRY(check_arm(node_, confined));
    PANAL_TRY(sampler_.settle(lot_.size(), kLotSettledCores, kSettlePatience));
    return {};
  }

  /// Waits so long; of each second of its second half, the middle.
  Result<Level> rest(unsigned rest_seconds) const {
    const HoldWindow window = hold_window(rest_seconds, 0);
    std::this_thread::sleep_for(std::chrono::seconds(window.seconds - window.counted_seconds));
    std::vector<double> available, load, lab;
    for (unsigned i = 0; i < window.counted_seconds; ++i) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
      PANAL_ASSIGN(const Sample now, sampler_.sample());
      available.push_back(now.available);
      load.push_back(now.load_charge);
      lab.push_back(now.lab_charge);
    }
    return Level{median_of(available), median_of(load), median_of(lab)};
  }

  Result<LotCost> measure(bool confined) {
    PANAL_TRY(take_over(confined));
    const double each = 1.0 / static_cast<double>(lot_.size());
    LotCost out;
    out.confined = confined;
    PANAL_ASSIGN(const Level before, rest(options_.rest_seconds));
    PANAL_ASSIGN(const double busy_before, others_busy_ms());
    const auto begin = Clock::now();
    PANAL_TRY(node_.panal(words_for({"desktop", "start"}, lot_)));
    out.start_ms = seconds_since(begin) * 1000 * each;
    PANAL_ASSIGN(const double busy_started, others_busy_ms());
    out.start_cpu_ms = (busy_started - busy_before) * each;
    Lot lot(node_, load_, lot_, [](const Account&) { return false; });
    PANAL_ASSIGN(const LotSeen seen, lot.start_by_clients(kTakeOverPatience));
    if (!seen.missing.empty()) return fail(EPROTO, seen.short_of);
    out.attach_seconds = lot.times()["all_connected_seconds"].get<double>();
    PANAL_TRY(sampler_.settle(lot_.size(), kLotSettledCores, kSettlePatience));
    PANAL_ASSIGN(const Level held, rest(options_.hold_seconds));
    PANAL_ASSIGN(const double busy_held, others_busy_ms());
    out.cpu_ms = (busy_held - busy_before) * each;
    const double load = held.load - before.load;
    out.mib = (before.available - held.available - load) / kMib * each;
    out.charged_mib = (held.lab - before.lab - load) / kMib * each;
    say("{}: {}", confined ? "confined" : "open", to_json(out).dump());
    load_.disconnect(lot_);
    PANAL_TRY(node_.panal(words_for({"desktop", "stop"}, lot_)));
    return out;
  }

  /// Without the users' machines.
  Result<double> others_busy_ms() const {
    PANAL_ASSIGN(const double all, busy_ms(tree_));
    PANAL_ASSIGN(const Sample now, sampler_.sample());
    return all - now.load_cpu / 1e6;
  }

  BenchNode& node_;
  Load& load_;
  Sampler sampler_;
  Tree tree_;
  const ConfinementOptions& options_;
  std::vector<Account> lot_, background_;
};

Result<json> compare(BenchNode& node, const ConfinementOptions& options, Clock::time_point begin) {
  PANAL_TRY(node.use_image(kImage));
  say("{} users, desktops and homes", options.count);
  PANAL_ASSIGN(const auto accounts, node.make_desktops(kImage, options.count));
  PANAL_TRY(deal_out_policies(node, accounts));
  PANAL_ASSIGN(const auto load, Load::make(node));
  PANAL_ASSIGN(auto sampler, Sampler::make(node, *load));
  PANAL_ASSIGN(auto tree, Tree::open_system());
  return Comparison(node, *load, std::move(sampler), std::move(tree), options, accounts).run(begin);
}

}  // namespace

Result<json> run_confinement(const ConfinementOptions& options) {
  if (options.lot == 0 || options.lot > options.count)
    return fail(EINVAL, "a lot is at least one of the desktops, and at most all of them");
  const auto begin = Clock::now();
  PANAL_ASSIGN(const auto outside, make_outside());
  say("panal up");
  PANAL_ASSIGN(auto node, BenchNode::up({.network = confined_network()}));
  auto result = compare(node, options, begin);
  if (!result) say("{}", result.error().message());
  const auto down = node.down();
  if (!result) return result;
  if (!down) return prefixed("afterwards", down.error());
  return result;
}

}  // namespace panal::bench
