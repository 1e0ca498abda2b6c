// Whether as many more desktops fit as panald says.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <thread>

#include "bench/density/load.h"
#include "bench/density/measure.h"
#include "bench/density/metrics_text.h"
#include "bench/density/sampler.h"
#include "bench/density/say.h"
#include "bench/density/stopwatch.h"

namespace panal::bench {
namespace {

using nlohmann::json;

/// All desktops together: some 70 of IceWM.
constexpr unsigned kAllMib = 3072;
constexpr std::size_t kMostDesktops = 150;
/// Started at a time, so that each number of desktops is one that the node can learn from.
constexpr std::size_t kLot = 4;
constexpr std::size_t kFewestLots = 5;
constexpr std::size_t kMostLots = 10;
/// It learns when nothing has started or stopped for 30 s, at most 30 s later.
constexpr std::chrono::seconds kLearns{65};
constexpr std::chrono::seconds kStartPatience{180};

bool has_client(const LiveDesktop& desktop) {
  return desktop.agent && desktop.session == "connected";
}

class Admission {
 public:
  Admission(BenchNode& node, Load& load, Sampler sampler, std::vector<Account> accounts)
      : node_(node), load_(load), sampler_(std::move(sampler)), accounts_(std::move(accounts)) {}

  Result<Measured> run() {
    PANAL_TRY(teach());
    const std::size_t before = up_;
    PANAL_ASSIGN(const std::string text, node_.panal({"metrics"}));
    const double said = metric(text, "panal_starts_room_desktops");
    say("panald says that {:.0f} more fit beside {}", said, before);
    bool refused = false;
    while (!refused) {
      if (up_ >= accounts_.size())
        return fail(ERANGE, fmt::format("{} desktops run and none was refused", up_));
      PANAL_ASSIGN(refused, start_lot());
    }
    const auto fitted = static_cast<double>(up_ - before);
    say("{:.0f} more fitted", fitted);
    if (fitted == 0) return fail(ENOSPC, "not one more desktop fitted");
    PANAL_TRY(visit());
    json details = {{"said", said},
                    {"fitted", fitted},
                    {"desktops_before", before},
                    {"limit_of_all_mib", kAllMib},
                    {"refusal", reason()}};
    return Measured{std::abs(said - fitted) / fitted * 100, details.dump()};
  }

 private:
  /// Lots of desktops, with time to learn what one takes.
  Result<void> teach() {
    for (std::size_t lot = 1; lot <= kMostLots; ++lot) {
      PANAL_ASSIGN(const bool refused, start_lot());
      if (refused) return fail(ENOSPC, "a desktop was refused before the node had measured any");
      std::this_thread::sleep_for(kLearns);
      if (lot < kFewestLots) continue;
      PANAL_ASSIGN(const std::string text, node_.panal({"metrics"}));
      if (metric(text, "panal_starts_room_desktops", "measurement") > 0) return {};
    }
    return fail(ENODATA, fmt::format("{} desktops, and the node has not measured them", up_));
  }

  /// The next few, each with a client; settled. Whether one was refused.
  Result<bool> start_lot() {
    const std::span lot(accounts_.data() + up_, std::min(kLot, accounts_.size() - up_));
    std::vector<std::string> words = {"desktop", "start", "--no-wait"};
    std::set<std::int64_t> waiting;
    for (const Account& account : lot) {
      words.push_back(account.desktop);
      waiting.insert(account.id);
    }
    PANAL_TRY(node_.panal(words));
    const auto begin = Clock::now();
    std::set<std::int64_t> running;
    bool refused = false;
    while (!waiting.empty()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      // Asked before what runs: one that starts meanwhile is still under way here.
      PANAL_ASSIGN(const std::string text, node_.panal({"metrics"}));
      PANAL_ASSIGN(const auto live, node_.live());
      for (const Account& account : lot) {
        const auto found = live.find(account.id);
        if (found == live.end()) continue;
        if (found->second.agent && running.insert(account.id).second)
          PANAL_TRY(load_.connect(account));
        if (has_client(found->second)) waiting.erase(account.id);
      }
      const bool under_way = metric(text, "panal_starts_under_way_desktops") > 0 ||
                             std::any_of(waiting.begin(), waiting.end(),
                                         [&](std::int64_t id) { return live.contains(id); });
      refused = metric(text, "panal_starts_refused_total") > 0;
      if (refused && !under_way) break;
      if (Clock::now() - begin > kStartPatience)
        return fail(ETIMEDOUT, fmt::format("{} of {} desktops have no client after {} s",
                                           waiting.size(), lot.size(), kStartPatience.count()));
    }
    up_ += lot.size() - waiting.size();
    PANAL_TRY(sampler_.settle(up_, 0.002, std::chrono::seconds(30)));
    return refused;
  }

  /// Those that fitted live, and nobody had to give way for them.
  Result<void> visit() {
    const std::vector<Account> in(accounts_.begin(),
                                  accounts_.begin() + static_cast<std::ptrdiff_t>(up_));
    PANAL_TRY(node_.wait_for(in, "all desktops to be attached still", has_client,
                             std::chrono::seconds(5)));
    for (const Account& account : in) PANAL_TRY(load_.answer(account, std::chrono::seconds(10)));
    PANAL_ASSIGN(const json stats, node_.stats());
    const json& resort = stats.at("optimiser").at("last_resort");
    if (resort.value("killed_processes", 0) + resort.value("killed_desktops", 0) > 0)
      return fail(ECHILD, "somebody was killed to make room: " + resort.dump());
    return {};
  }

  std::string reason() const {
    const auto text = node_.panal({"desktop", "show", "--json", accounts_[up_].desktop});
    const json row = text ? json::parse(*text, nullptr, false) : json();
    return row.is_object() ? row.value("reason", "") : "";
  }

  BenchNode& node_;
  Load& load_;
  Sampler sampler_;
  std::vector<Account> accounts_;
  std::size_t up_ = 0;
};

Result<Measured> admission_scenario(BenchNode& node) {
  PANAL_TRY(node.use_image("icewm"));
  say("{} users, desktops and homes", kMostDesktops);
  PANAL_ASSIGN(auto accounts, node.make_desktops("icewm", kMostDesktops));
  PANAL_ASSIGN(const auto load, Load::make(node));
  PANAL_ASSIGN(auto sampler, Sampler::make(node, *load));
  auto measured = Admission(node, *load, std::move(sampler), std::move(accounts)).run();
  // The one that waits would start as soon as the others stop.
  if (auto stopped = node.panal({"desktop", "stop", "--all"}); measured && !stopped)
    return tl::make_unexpected(stopped.error());
  load->disconnect_all();
  return measured;
}

}  // namespace

Result<Measured> measure_admission_error() {
  PANAL_ASSIGN(
      auto node,
      BenchNode::up({.prewarm = false, .profile = "balanced", .parent_memory_mib = kAllMib}));
  auto measured = admission_scenario(node);
  if (!measured) say("{}", measured.error().message());
  const auto down = node.down();
  if (!measured) return measured;
  if (!down) return prefixed("afterwards", down.error());
  return measured;
}

}  // namespace panal::bench
