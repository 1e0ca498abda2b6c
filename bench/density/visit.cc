#include "bench/density/visit.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <nlohmann/json.hpp>
#include <utility>

#include "bench/density/say.h"
#include "bench/density/stopwatch.h"
#include "engine/base/arithmetic.h"

namespace panal::bench {
namespace {

using nlohmann::json;
using std::chrono::seconds;

/// A window that was covered for an hour may take a moment to be found; a key is not typed again.
constexpr seconds kFindPatience{10};
constexpr seconds kReturnPatience{60};
/// On their way back at once: one answers while the next ones' clients connect.
constexpr std::size_t kReturningAtOnce = 3;
constexpr std::size_t kMostNamed = 20;
constexpr std::size_t kSaidEach = 100;
/// Each is waited for a minute.
constexpr std::size_t kMostNotBack = 10;

bool attached(const LiveDesktop& desktop) {
  return desktop.agent && desktop.session == "connected";
}

json spread_ms(const std::vector<double>& ms) {
  if (ms.empty()) return {{"count", 0}};
  return {{"count", ms.size()},
          {"p50", median(ms)},
          {"p99", percentile(ms, 99)},
          {"max", percentile(ms, 100)}};
}

class Visit {
 public:
  Visit(const BenchNode& node, Load& load, const VisitPlan& plan, Tree tree)
      : node_(node),
        load_(load),
        plan_(plan),
        tree_(std::move(tree)),
        expected_(expected_programs(plan.programs)) {}

  json run() {
    compare(plan_.stayed, "before");
    compare(plan_.away, "before");
    say("{} that stayed are typed into", plan_.stayed.size());
    for (const Account& account : plan_.stayed) ask_first(account);
    compare(plan_.stayed, "after");
    say("{} come back", plan_.away.size());
    bring_back();
    if (const auto still =
            node_.wait_for(plan_.stayed, "all desktops to be attached still", attached, seconds(5));
        !still)
      not_back_.push_back(still.error().context);
    json out = {{"stayed", plan_.stayed.size()},
                {"came_back", came_back_.size()},
                {"stayed_answer_ms", spread_ms(stayed_ms_)},
                {"stayed_since_click_ms", spread_ms(since_click_ms_)},
                {"returned_answer_ms", spread_ms(returned_ms_)},
                {"late", late_},
                {"silent", silent_},
                {"not_attached", not_back_},
                {"lost_programs", lost_},
                {"other_programs_ended", others_}};
    if (!came_back_.empty()) {
      out["came_back_p50_seconds"] = median(came_back_);
      out["came_back_max_seconds"] = percentile(came_back_, 100);
    }
    return out;
  }

 private:
  void ask_first(const Account& account) {
    const auto typed = load_.answer_first(account, kFindPatience);
    if (!typed) {
      silent_.push_back(typed.error().context);
      return;
    }
    stayed_ms_.push_back(typed->ms);
    since_click_ms_.push_back(typed->since_click_ms);
    if (typed->ms > kLongestAnswerMs)
      late_.push_back(fmt::format("{} after {:.0f} ms", account.desktop, typed->ms));
  }

  /// What each lacks of what it had; each loss is told once.
  void compare(const std::vector<Account>& accounts, const char* when) {
    const ProgramsByDesktop now = programs_of(tree_, node_, load_, accounts);
    for (const Account& account : accounts) {
      Programs had = expected_;
      if (const auto found = plan_.programs.find(account.id); found != plan_.programs.end())
        for (const auto& [name, processes] : found->second) had[name] = processes;
      const LostPrograms lost = lost_programs(had, now.at(account.id));
      std::vector<std::string> fresh;
      for (const std::string& name : lost.missed)
        if (told_.emplace(account.id, name).second) fresh.push_back(name);
      for (const std::string& name : lost.others)
        if (told_.emplace(account.id, name).second) ++others_[name];
      if (!fresh.empty())
        lost_.push_back({{"desktop", account.desktop}, {"names", fresh}, {"when", when}});
    }
  }

  void bring_back() {
    std::deque<std::pair<const Account*, Clock::time_point>> coming;
    std::size_t next = 0;
    while (next < plan_.away.size() || !coming.empty()) {
      while (coming.size() < kReturningAtOnce && next < plan_.away.size()) {
        coming.emplace_back(&plan_.away[next++], Clock::now());
        // A client that could not be started is one that does not come back.
        if (const auto started = load_.connect(*coming.back().first); !started)
          say("{}", started.error().message());
      }
      const auto [account, began] = coming.front();
      coming.pop_front();
      if (const auto there =
              node_.wait_for({*account}, "it to be attached again", attached, kReturnPatience);
          !there) {
        not_back_.push_back(there.error().context);
        say("{} does not come back", account->desktop);
        load_.disconnect({*account});
        if (not_back_.size() >= kMostNotBack) return;
        continue;
      }
      came_back_.push_back(seconds_since(began));
      if (came_back_.size() % kSaidEach == 0) say("{} are back", came_back_.size());
      const auto typed = load_.answer(*account, kFindPatience);
      if (typed)
        returned_ms_.push_back(typed->ms);
      else
        silent_.push_back(typed.error().context);
      compare({*account}, "after");
      load_.disconnect({*account});
    }
  }

  const BenchNode& node_;
  Load& load_;
  const VisitPlan& plan_;
  Tree tree_;
  Programs expected_;  ///< of every desktop
  std::vector<double> stayed_ms_, since_click_ms_, returned_ms_, came_back_;
  std::vector<std::string> late_, silent_, not_back_;
  std::vector<json> lost_;
  std::map<std::string, std::size_t> others_;
  std::set<std::pair<std::int64_t, std::string>> told_;
};

/// "3 of them, the first: ..."
std::string first_of(const json& list) {
  const json& first = list.front();
  return fmt::format("{}, the first: {}", list.size(),
                     first.is_string() ? first.get<std::string>() : first.dump());
}

}  // namespace

Result<json> visit(const BenchNode& node, Load& load, const VisitPlan& plan) {
  PANAL_ASSIGN(auto tree, Tree::open_system());
  return Visit(node, load, plan, std::move(tree)).run();
}

std::optional<std::string> what_is_wrong(const json& visit, bool must_answer) {
  const auto list = [&visit](const char* key) { return visit.value(key, json::array()); };
  if (const json lost = list("lost_programs"); !lost.empty()) {
    std::string words = "programs are lost:";
    for (std::size_t i = 0; i < std::min(lost.size(), kMostNamed); ++i) {
      words += fmt::format("{} {} ({} the visit)", i == 0 ? "" : ",", lost[i].value("desktop", ""),
                           lost[i].value("when", ""));
      for (const json& name : lost[i].value("names", json::array()))
        words += " " + name.get<std::string>();
    }
    return words;
  }
  if (const json missing = list("not_attached"); !missing.empty())
    return "desktops are not attached: " + first_of(missing);
  if (!must_answer) return std::nullopt;
  if (const json silent = list("silent"); !silent.empty())
    return "desktops do not answer a key: " + first_of(silent);
  if (const json late = list("late"); !late.empty())
    return fmt::format("desktops answered their first key after more than {:.0f} ms: {}",
                       kLongestAnswerMs, first_of(late));
  return std::nullopt;
}

}  // namespace panal::bench
