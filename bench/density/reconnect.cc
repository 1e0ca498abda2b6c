#include "bench/density/reconnect.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "bench/density/load.h"
#include "bench/density/sampler.h"
#include "bench/density/say.h"
#include "bench/density/stopwatch.h"
#include "bench/density/units.h"
#include "bench/density/watched_session.h"
#include "engine/base/arithmetic.h"
#include "engine/kernel/smaps.h"

namespace panal::bench {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr const char* kSpared = "spared";
/// panald looks at what a user touched three to five seconds after he came.
constexpr std::chrono::seconds kStay{6};
/// Between two users: nxagent ignores a HUP while its last link still closes.
constexpr std::chrono::seconds kPause{2};

struct Seat {
  Account account;
  std::string treatment;
  double pss_before = 0;
  double pss_now = 0;
  double pss_file_now = 0;   ///< of that, its share of what it maps of files; the image's, mostly
  double charge_before = 0;  ///< of its group: what is in the swap cache is in no process's PSS
  double charge_now = 0;
  bool lost = false;  ///< its nxagent died: it is left out from then on
};

class Reconnects {
 public:
  Reconnects(BenchNode& node, const ReconnectOptions& options) : node_(node), options_(options) {}

  Result<json> run() {
    PANAL_TRY(node_.use_image(options_.image));
    PANAL_ASSIGN(const auto accounts, node_.make_desktops(options_.image, options_.desktops));
    for (std::size_t i = 0; i < accounts.size(); ++i)
      seats_.push_back({accounts[i], options_.treatments[i % options_.treatments.size()]});
    PANAL_ASSIGN(tree_, Tree::open_system());
    PANAL_ASSIGN(load_, Load::make(node_));
    PANAL_ASSIGN(screen_, load_->new_display());
    for (const auto& [name, value] : screen_->environment())
      ::setenv(name.c_str(), value.c_str(), 1);
    PANAL_TRY(bring_up());
    say("each user comes once, nothing having been taken from anybody");
    PANAL_TRY(visit_all(nullptr));
    PANAL_TRY(measure_pss());
    for (Seat& seat : seats_) {
      seat.pss_before = seat.pss_now;
      seat.charge_before = seat.charge_now;
      PANAL_TRY(node_.treat(seat.account, seat.treatment));
    }
    json out = {{"image", options_.image},
                {"profile", options_.profile},
                {"desktops", options_.desktops},
                {"rounds", options_.rounds},
                {"away_seconds", options_.away_seconds},
                {"treatments", options_.treatments},
                {"resident", json::array()}};
    json times = json::object();
    for (unsigned round = 0; round <= options_.rounds; ++round) {
      // In the round before the measured ones nobody has to be away for long, only taken from.
      const bool measured = round > 0 || options_.rounds == 0;
      PANAL_TRY(wait_away(measured ? std::chrono::seconds(options_.away_seconds)
                                   : std::chrono::seconds(0)));
      out["resident"].push_back(resident());
      say("round {}: {}", round, out["resident"].back().dump());
      PANAL_TRY(visit_all(measured ? &times : nullptr));
    }
    for (const auto& [treatment, values] : times.items())
      for (const auto& [what, list] : values.items()) {
        const auto all = list.get<std::vector<double>>();
        out[what][treatment] = {{"tries", all.size()},
                                {"p50", median(all)},
                                {"p99", percentile(all, 99)},
                                {"max", percentile(all, 100)},
                                {"all", all}};
      }
    out["lost"] = std::count_if(seats_.begin(), seats_.end(), [](const Seat& s) { return s.lost; });
    PANAL_ASSIGN(auto stats, node_.stats());
    out["optimiser"] = std::move(stats["optimiser"]);
    return out;
  }

 private:
  /// All run, suspended after their pre-warm, spared from the moment that they are known.
  Result<void> bring_up() {
    PANAL_TRY(node_.panal({"desktop", "start", "--all", "--no-wait"}));
    const auto begin = Clock::now();
    std::set<std::int64_t> spared;
    std::size_t ready = 0;
    while (ready < seats_.size()) {
      if (seconds_since(begin) > 120 + 8.0 * static_cast<double>(seats_.size()))
        return fail(ETIMEDOUT, "only " + std::to_string(ready) + " desktops are pre-warmed");
      std::this_thread::sleep_for(milliseconds(200));
      PANAL_ASSIGN(const auto live, node_.live());
      ready = 0;
      for (const Seat& seat : seats_) {
        const auto found = live.find(seat.account.id);
        if (found == live.end() || !found->second.agent) continue;
        if (spared.insert(seat.account.id).second) PANAL_TRY(node_.treat(seat.account, kSpared));
        if (found->second.session == "suspended") ++ready;
      }
    }
    PANAL_ASSIGN(const auto sampler, Sampler::make(node_, *load_));
    PANAL_ASSIGN(const bool settled,
                 sampler.settle(seats_.size(), 0.002, std::chrono::seconds(90)));
    say("{} desktops are up after {:.0f} s{}", seats_.size(), seconds_since(begin),
        settled ? "" : ", not settled");
    return {};
  }

  /// One after the other; `times` may be null.
  Result<void> visit_all(json* times) {
    for (Seat& seat : seats_) {
      if (seat.lost) continue;
      PANAL_TRY(wait_bare());
      {
        PANAL_ASSIGN(const auto opened, open_session(node_, seat.account, screen_.get()));
        say("{} ({}): 101 after {:.0f} ms, first picture after {:.0f} ms", seat.account.desktop,
            seat.treatment, opened.times.accepted, opened.times.painted);
        if (times != nullptr) {
          (*times)[seat.treatment]["first_picture_ms"].push_back(opened.times.painted);
          (*times)[seat.treatment]["accepted_ms"].push_back(opened.times.accepted);
        }
        std::this_thread::sleep_for(kStay);
      }
      PANAL_TRY(wait_suspended(seat));
      std::this_thread::sleep_for(kPause);
    }
    left_ = Clock::now();
    return {};
  }

  /// nxagent 3.5.99.26 dies now and then when its link goes; that is not what is measured here, but
  /// it is told.
  Result<void> wait_suspended(Seat& seat) {
    std::string state;
    PANAL_TRY(node_.wait_for(
        {seat.account}, "the suspend",
        [&state](const LiveDesktop& d) {
          state = d.session;
          return d.agent && (state == "suspended" || state == "none");
        },
        std::chrono::seconds(60)));
    seat.lost = state == "none";
    if (seat.lost) say("{}: its session has died", seat.account.desktop);
    return {};
  }

  Result<void> wait_bare() {
    const auto begin = Clock::now();
    while (screen_->painted() > 0.01) {
      if (seconds_since(begin) > 10) return fail(ETIMEDOUT, "the last user's window stays");
      std::this_thread::sleep_for(milliseconds(10));
    }
    return {};
  }

  Result<void> measure_pss() {
    for (Seat& seat : seats_) {
      PANAL_ASSIGN(const auto group,
                   kernel::Cgroup::open(load_->root(), node_.config().cgroup_parent + "/d" +
                                                           std::to_string(seat.account.id)));
      PANAL_ASSIGN(const auto pids, group.pids());
      SmapsRollup parts;
      for (const pid_t pid : pids)
        if (const auto maps = kernel::read_smaps_rollup(tree_, pid)) kernel::add(parts, *maps);
      seat.pss_now = static_cast<double>(parts.pss);
      seat.pss_file_now = static_cast<double>(parts.pss_file);
      PANAL_ASSIGN(const std::uint64_t charge, group.memory_usage());
      seat.charge_now = static_cast<double>(charge);
    }
    return {};
  }

  /// Until everybody has been away for so long, and all but the spared are as small as wanted.
  Result<void> wait_away(std::chrono::seconds least) {
    while (true) {
      std::this_thread::sleep_for(std::chrono::seconds(10));
      if (seconds_since(left_) < static_cast<double>(least.count())) continue;
      PANAL_TRY(measure_pss());
      const json now = resident();
      if (now["max_ratio"].get<double>() <= options_.resident_ratio) return {};
      if (seconds_since(left_) >= options_.patience_seconds) {
        say("not as small as wanted: {}", now.dump());
        return {};
      }
    }
  }

  [[nodiscard]] json resident() const {
    double before = 0, after = 0, after_file = 0, worst = 0;
    std::size_t count = 0;
    double spared_before = 0, spared_after = 0;
    std::map<std::string, std::pair<double, double>> charges;
    for (const Seat& seat : seats_) {
      if (seat.lost) continue;
      charges[seat.treatment].first += seat.charge_before;
      charges[seat.treatment].second += seat.charge_now;
      if (seat.treatment == kSpared) {
        spared_before += seat.pss_before;
        spared_after += seat.pss_now;
        continue;
      }
      ++count;
      before += seat.pss_before;
      after += seat.pss_now;
      after_file += seat.pss_file_now;
      worst = std::max(worst, seat.pss_now / seat.pss_before);
    }
    json charge_ratio = json::object();
    for (const auto& [treatment, sums] : charges)
      charge_ratio[treatment] = sums.second / std::max(sums.first, 1.0);
    return {
        {"desktops", count},
        {"charge_ratio", std::move(charge_ratio)},
        {"away_seconds", seconds_since(left_)},
        {"pss_before_mib", before / kMib / static_cast<double>(std::max<std::size_t>(count, 1))},
        {"pss_after_mib", after / kMib / static_cast<double>(std::max<std::size_t>(count, 1))},
        {"ratio", before > 0 ? after / before : 0},
        {"max_ratio", worst},
        {"spared_ratio", spared_before > 0 ? spared_after / spared_before : 0}};
  }

  BenchNode& node_;
  const ReconnectOptions& options_;
  Tree tree_;
  std::vector<Seat> seats_;
  std::unique_ptr<Load> load_;
  std::unique_ptr<Display> screen_;
  Clock::time_point left_;
};

}  // namespace

Result<json> run_reconnect(const ReconnectOptions& options) {
  if (options.treatments.empty() || options.desktops < options.treatments.size())
    return fail(EINVAL, "reconnect: fewer desktops than treatments");
  PANAL_ASSIGN(auto node, BenchNode::up({.prewarm = true, .profile = options.profile}));
  // The load generator goes before the node does.
  auto result = Reconnects(node, options).run();
  if (!result) say("{}", result.error().message());
  const auto down = node.down();
  if (!result) return result;
  if (!down) return prefixed("afterwards", down.error());
  return result;
}

Result<double> added_p99_ms(const json& result, const std::string& treatment) {
  const auto p99 = [&result](const std::string& of) -> Result<double> {
    const json::json_pointer at("/first_picture_ms/" + of + "/p99");
    if (!result.contains(at)) return fail(EINVAL, "reconnect: nobody was " + of);
    return result[at].get<double>();
  };
  PANAL_ASSIGN(const double spared, p99(kSpared));
  PANAL_ASSIGN(const double other, p99(treatment));
  return other - spared;
}

Result<void> tells_enough(const json& result, double resident_ratio, std::size_t least_tries) {
  const json& rounds = result.at("resident");
  // The first is the one in which panald learns, unless it is the only one.
  for (std::size_t round = rounds.size() > 1 ? 1 : 0; round < rounds.size(); ++round) {
    const double worst = rounds[round].at("max_ratio").get<double>();
    if (worst > resident_ratio)
      return fail(ENODATA,
                  fmt::format("before round {} a desktop still had {:.2f} of its PSS: more than "
                              "{:.2f} is not taken from",
                              round, worst, resident_ratio));
  }
  for (const json& treatment : result.at("treatments")) {
    const std::string name = treatment.get<std::string>();
    const json::json_pointer at("/first_picture_ms/" + name + "/tries");
    const auto tries = result.contains(at) ? result[at].get<std::size_t>() : 0;
    if (tries < least_tries)
      return fail(ENODATA, fmt::format("{} tries of {} were wanted, {} came off (sessions that "
                                       "died: {})",
                                       least_tries, name, tries, result.value("lost", 0)));
  }
  return {};
}

}  // namespace panal::bench
