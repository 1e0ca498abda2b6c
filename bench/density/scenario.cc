#include "bench/density/scenario.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bench/density/limit_watch.h"
#include "bench/density/lot.h"
#include "bench/density/ramp.h"
#include "bench/density/say.h"
#include "bench/density/stopwatch.h"
#include "bench/density/typing.h"
#include "bench/density/units.h"
#include "bench/density/visit.h"

namespace panal::bench {
namespace {

using nlohmann::json;
/// A desktop that has just started is settled when it uses less than this of a core.
constexpr double kSettledCores = 0.002;
/// Of a lot beyond the target: it is to show whether keys are painted in time, not what it costs.
constexpr unsigned kBeyondCountedSeconds = 60;
/// How long a lot may take: 400 XFCE desktops on two cores took 5 s each towards the end.
constexpr unsigned kLotSeconds = 120;
constexpr unsigned kSecondsEach = 8;

void wait_for_interrupt() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM}) ::sigaddset(&set, number);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  int number = 0;
  ::sigwait(&set, &number);
}

RampPlan plan_of(const DensityOptions& options) {
  const std::size_t eighth = std::max<std::size_t>(1, options.count / 8);
  return {options.count, std::clamp<std::size_t>(options.steps, 1, options.count), options.beyond,
          options.beyond_lot > 0 ? options.beyond_lot : eighth};
}

class Scenario {
 public:
  Scenario(BenchNode& node, const DensityOptions& options, std::vector<Account> accounts,
           Load& load, Sampler sampler, HostWatch host, LimitWatch limits)
      : node_(node),
        options_(options),
        accounts_(std::move(accounts)),
        load_(load),
        sampler_(std::move(sampler)),
        host_(std::move(host)),
        limits_(std::move(limits)) {
    for (std::size_t i = 0; i < accounts_.size(); ++i)
      roles_[accounts_[i].id] = role_of(i, options_.shares);
  }

  Result<json> run() {
    json out = {{"image", options_.image},
                {"count", options_.count},
                {"beyond", options_.beyond},
                {"prewarm", options_.prewarm},
                {"hold_seconds", options_.hold.seconds},
                {"counted_seconds", options_.hold.counted_seconds},
                {"parallel_starts", node_.config().parallel_starts},
                {"profile", options_.profile},
                {"started_by", options_.started_by_clients ? "clients" : "command"},
                {"disconnected_percent", options_.shares.disconnected_percent},
                {"active_percent", options_.shares.active_percent}};
    const auto begin = Clock::now();
    Ramp ramp(plan_of(options_));
    while (auto step = ramp.next()) {
      if (options_.until_seconds > 0 && step->kind != StepKind::kTarget &&
          seconds_since(begin) > options_.until_seconds) {
        ramp.out_of_time();
        step = ramp.next();
        if (!step) break;
      }
      PANAL_ASSIGN(const StepSeen seen, take(*step));
      ramp.saw(seen);
      if (up_.empty()) return fail(ECHILD, "not one desktop runs: " + ramp.ended());
    }
    typing_.reset();
    out["up"] = up_.size();
    out["holds"] = ramp.holds();
    out["ended"] = ramp.ended();
    say("{} hold; {}", ramp.holds(), ramp.ended());
    out["slope"] = slopes(steps_);
    out["all_connected_seconds"] = steps_[0]["start"]["all_connected_seconds"];
    out["steps"] = std::move(steps_);
    PANAL_ASSIGN(auto stats, node_.stats());
    out["optimiser"] = std::move(stats["optimiser"]);
    PANAL_ASSIGN(out["visit"], visit(node_, load_, {with(true), with(false), programs_}));
    if (const auto wrong = what_is_wrong(out["visit"], options_.must_answer))
      failures_.push_back(*wrong);
    PANAL_ASSIGN(stats, node_.stats());
    PANAL_TRY(limits_.look(stats));
    out["limits"] = limits_.report();
    if (limits_.killed() > forgiven_)
      failures_.push_back(fmt::format("{} processes or desktops were killed for want of memory",
                                      limits_.killed() - forgiven_));
    for (const std::string& failure : failures_) say("FAILED: {}", failure);
    out["failures"] = failures_;
    if (options_.keep) {
      say("everything stays up until SIGINT; config {}/panal.toml", node_.directory());
      wait_for_interrupt();
    }
    const auto ends = Clock::now();
    load_.disconnect_all();
    out["disconnect_seconds"] = seconds_since(ends);
    out["seconds"] = seconds_since(begin);
    return out;
  }

 private:
  [[nodiscard]] Role role(const Account& account) const { return roles_.at(account.id); }

  /// Of those that are up: who stays, or who is away.
  [[nodiscard]] std::vector<Account> with(bool client) const {
    std::vector<Account> out;
    std::copy_if(up_.begin(), up_.end(), std::back_inserter(out),
                 [&](const Account& one) { return (role(one) != Role::kAway) == client; });
    return out;
  }

  Result<StepSeen> take(const Step& step) {
    json one = {{"kind", to_string(step.kind)}, {"start", json::object()}};
    StepSeen seen;
    std::vector<Account> fresh;
    if (step.count < up_.size()) {
      PANAL_TRY(take_down(step.count));
    } else if (step.count > up_.size()) {
      PANAL_ASSIGN(fresh, bring_up(step.count - up_.size(), seen, one));
    }
    seen.count = up_.size();
    if (step.kind == StepKind::kBack || up_.empty()) return seen;
    const auto begin = Clock::now();
    PANAL_ASSIGN(
        const bool settled,
        sampler_.settle(up_.size(), kSettledCores, std::chrono::seconds(options_.settle_seconds)));
    one["settled"] = settled;
    one["start"]["settled_seconds"] =
        one["start"].value("all_connected_seconds", 0.0) + seconds_since(begin);
    PANAL_TRY(give_roles(fresh));
    if (typing_) one["typing_while_starting"] = typing_->cut();
    PANAL_TRY(type_into_active());
    PANAL_ASSIGN(const Held held, hold(sampler_, host_, window_of(step)));
    if (typing_) one["typing"] = typing_->cut();
    one.update(describe(held, up_.size()));
    PANAL_TRY(look_around(step, seen, one));
    say("held: {:.0f} MiB available, {:.1f} MiB charged each, {:.0f} ppm of CPU each{}{}",
        held.available / kMib, held.charge / kMib / static_cast<double>(up_.size()),
        held.desktop_cores * 1e6 / static_cast<double>(up_.size()), typing_ ? "; keys: " : "",
        typing_ ? one["typing"].dump() : "");
    StepSeen those = seen;
    if (step.kind == StepKind::kTarget) {
      // Fewer than were asked for hold or do not like any other number.
      if (!seen.short_of.empty()) one["short_of"] = seen.short_of;
      those.short_of.clear();
    }
    const auto wrong = why_not(those);
    one["held"] = !wrong;
    if (wrong) one["why_not"] = *wrong;
    steps_.push_back(std::move(one));
    return seen;
  }

  /// The next `number`, or as many of them as start: those that do.
  Result<std::vector<Account>> bring_up(std::size_t number, StepSeen& seen, json& one) {
    const auto from = accounts_.begin() + static_cast<std::ptrdiff_t>(next_);
    number = std::min(number, accounts_.size() - next_);
    next_ += number;
    Lot lot(node_, load_, {from, from + static_cast<std::ptrdiff_t>(number)},
            [this](const Account& account) { return role(account) == Role::kActive; });
    const std::chrono::seconds patience(kLotSeconds + kSecondsEach * number);
    PANAL_ASSIGN(LotSeen started, options_.started_by_clients ? lot.start_by_clients(patience)
                                                              : lot.start_by_command(patience));
    up_.insert(up_.end(), started.attached.begin(), started.attached.end());
    seen.short_of = started.short_of;
    // Some were refused or killed on the way, and others cannot take their place for ever.
    if (number == 0) seen.short_of = "all desktops there are were tried";
    one["start"] = lot.times();
    say("{} desktops attached, the last {} in {:.1f} s{}{}", up_.size(), started.attached.size(),
        one["start"]["all_connected_seconds"].get<double>(),
        started.short_of.empty() ? "" : "; no more: ", started.short_of);
    return std::move(started.attached);
  }

  /// The last ones go, until so many are up.
  Result<void> take_down(std::size_t count) {
    const std::vector<Account> go(up_.begin() + static_cast<std::ptrdiff_t>(count), up_.end());
    up_.resize(count);
    PANAL_TRY(type_into_active());
    load_.disconnect(go);
    std::vector<std::string> words = {"desktop", "stop"};
    for (const Account& account : go) words.push_back(account.desktop);
    say("{} desktops are stopped: {} remain", go.size(), count);
    // One that has failed is not running either.
    if (const auto stopped = node_.panal(words); !stopped) say("{}", stopped.error().message());
    return {};
  }

  /// What runs in the new ones is written down; then those leave that are to be away.
  Result<void> give_roles(const std::vector<Account>& fresh) {
    PANAL_ASSIGN(const auto tree, Tree::open_system());
    programs_.merge(programs_of(tree, node_, load_, fresh));
    std::vector<Account> leaving;
    std::copy_if(fresh.begin(), fresh.end(), std::back_inserter(leaving),
                 [this](const Account& one) { return role(one) == Role::kAway; });
    load_.disconnect(leaving);
    return {};
  }

  Result<void> type_into_active() {
    std::vector<std::string> names;
    const Account* first = nullptr;
    for (const Account& account : up_) {
      if (role(account) != Role::kActive) continue;
      if (first == nullptr) first = &account;
      names.push_back(account.desktop);
    }
    if (first == nullptr) return {};
    if (typing_) {
      typing_->into(std::move(names));
      return {};
    }
    PANAL_ASSIGN(Typist * typist, load_.typist_of(*first));
    typing_.emplace(*typist, std::move(names));
    return {};
  }

  [[nodiscard]] HoldWindow window_of(const Step& step) const {
    if (step.kind == StepKind::kBeyond)
      return hold_window(options_.beyond_hold_seconds, kBeyondCountedSeconds);
    if (const auto found = options_.hold_at.find(step.count); found != options_.hold_at.end())
      return found->second;
    const bool last = step.kind == StepKind::kLast || step.count == options_.count;
    return last ? options_.last_hold.value_or(options_.hold) : options_.hold;
  }

  /// What is not for every second, now that nobody's keys are judged.
  Result<void> look_around(const Step& step, StepSeen& seen, json& one) {
    PANAL_ASSIGN(const DesktopsMemory memory, host_.walk_desktops());
    one["desktops_memory"] = describe(memory);
    PANAL_ASSIGN(auto stats, node_.stats());
    PANAL_TRY(limits_.look(stats));
    one["optimiser"] = stats["optimiser"];
    if (typing_) {
      const json& typed = one["typing"];
      seen.typed = true;
      seen.keys = typed["keys"];
      seen.lost = typed["lost"];
      seen.p99_ms = typed.value("p99_ms", 0.0);
    }
    seen.killed = limits_.killed() - std::exchange(killed_, limits_.killed());
    // Beyond the target a kill is how a number that does not hold may show.
    if (seen.killed == 0 || step.kind == StepKind::kTarget) return {};
    forgiven_ += seen.killed;
    const auto fallen = LimitWatch::fallen(stats, up_);
    one["fallen"] = fallen;
    std::vector<Account> gone;
    std::copy_if(up_.begin(), up_.end(), std::back_inserter(gone),
                 [&](const Account& account) { return fallen.contains(account.id); });
    load_.disconnect(gone);
    std::erase_if(up_, [&](const Account& account) { return fallen.contains(account.id); });
    return type_into_active();
  }

  BenchNode& node_;
  const DensityOptions& options_;
  std::vector<Account> accounts_;
  Load& load_;
  Sampler sampler_;
  HostWatch host_;
  LimitWatch limits_;
  std::map<std::int64_t, Role> roles_;  ///< by desktop id
  std::vector<Account> up_;             ///< in the order of their starts
  std::size_t next_ = 0;                ///< of accounts_: the first that was not started yet
  ProgramsByDesktop programs_;          ///< of those that have settled
  std::optional<Typing> typing_;        ///< its typist is load_'s
  json steps_ = json::array();
  std::vector<std::string> failures_;
  std::uint64_t killed_ = 0;    ///< at the last look
  std::uint64_t forgiven_ = 0;  ///< of them, beyond the target
};

}  // namespace

Result<json> run_scenario(BenchNode& node, const DensityOptions& options) {
  const auto& [active, away] = options.shares;
  if (active + away > 100) return fail(EINVAL, "more than 100 percent are active or disconnected");
  PANAL_TRY(node.use_image(options.image));
  const std::size_t most = std::max(options.count, options.beyond);
  say("{} users, desktops and homes", most);
  PANAL_ASSIGN(auto accounts, node.make_desktops(options.image, most));
  PANAL_ASSIGN(const auto load, Load::make(node));
  PANAL_ASSIGN(auto sampler, Sampler::make(node, *load));
  PANAL_ASSIGN(auto host, HostWatch::make(node, *load));
  PANAL_ASSIGN(auto limits, LimitWatch::make(node, *load));
  return Scenario(node, options, std::move(accounts), *load, std::move(sampler), std::move(host),
                  std::move(limits))
      .run();
}

}  // namespace panal::bench
