#include "bench/density/lot.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "bench/density/metrics_text.h"
#include "bench/density/say.h"
#include "engine/base/arithmetic.h"

namespace panal::bench {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

/// Clients under way at once, in terms of the starts that panald makes at once at most.
constexpr std::size_t kClientsPerWorker = 2;
/// A start that was refused may begin after all when the optimiser has made room: those of this lot
/// become idle two minutes after their last key, and are taken from two minutes later.
constexpr double kRefusedForSeconds = 300;
constexpr double kMetricsEverySeconds = 2;

/// Whether panald refuses starts for want of room, and how long it has been so.
class Refusals {
 public:
  explicit Refusals(BenchNode& node) : node_(node) {}

  /// For so many seconds now; asks at most every other second.
  Result<double> look(double now_seconds) {
    if (asked_ && now_seconds - *asked_ < kMetricsEverySeconds) return refused_for(now_seconds);
    asked_ = now_seconds;
    PANAL_ASSIGN(const std::string text, node_.panal({"metrics"}));
    const double refused = metric(text, "panal_starts_refused_total");
    if (!before_) before_ = refused;
    const bool stands = refused > *before_ && metric(text, "panal_starts_waiting_desktops") > 0 &&
                        metric(text, "panal_starts_under_way_desktops") == 0;
    if (!stands)
      since_.reset();
    else if (!since_)
      since_ = now_seconds;
    return refused_for(now_seconds);
  }

 private:
  [[nodiscard]] double refused_for(double now_seconds) const {
    return since_ ? now_seconds - *since_ : 0;
  }

  BenchNode& node_;
  std::optional<double> asked_, before_, since_;
};

/// What panald says of a desktop that does not start.
std::string reason_of(const BenchNode& node, const Account& account) {
  const auto text = node.panal({"desktop", "show", "--json", account.desktop});
  const json row = text ? json::parse(*text, nullptr, false) : json();
  const std::string reason = row.is_object() ? row.value("reason", "") : "";
  return account.desktop + (reason.empty() ? " does not start" : ": " + reason);
}

}  // namespace

void Lot::look(const Account& account, const LiveDesktop& live) {
  Way& way = ways_[account.id];
  if (!live.agent) return;
  if (way.running == 0) way.running = seconds_since(begin_);
  if (live.session == "connected" && way.connected == 0) way.connected = seconds_since(begin_);
}

Result<LotSeen> Lot::start_by_clients(std::chrono::seconds patience) {
  begin_ = Clock::now();
  Refusals refusals(node_);
  PANAL_TRY(refusals.look(0));
  const std::size_t most = kClientsPerWorker * node_.config().parallel_starts;
  std::vector<const Account*> under_way;
  std::size_t next = 0;
  while (next < accounts_.size() || !under_way.empty()) {
    while (under_way.size() < most && next < accounts_.size()) {
      const Account& account = accounts_[next++];
      ways_[account.id].began = seconds_since(begin_);
      PANAL_TRY(load_.connect(account, watched_(account)));
      under_way.push_back(&account);
    }
    // Each is asked for by itself, and not often: of all at once panald reads ten files a desktop.
    std::this_thread::sleep_for(milliseconds(400));
    for (auto one = under_way.begin(); one != under_way.end();) {
      const Account& account = **one;
      PANAL_ASSIGN(const auto live, node_.live(account.id));
      if (const auto found = live.find(account.id); found != live.end())
        look(account, found->second);
      if (ways_[account.id].connected > 0) {
        one = under_way.erase(one);
        continue;
      }
      if (!load_.runs(account)) return seen("the client gave up: " + reason_of(node_, account));
      ++one;
    }
    if (under_way.empty()) continue;
    const double now = seconds_since(begin_);
    PANAL_ASSIGN(const double refused_for, refusals.look(now));
    if (refused_for >= kRefusedForSeconds)
      return seen("starts are refused: " + reason_of(node_, *under_way.front()));
    if (now > static_cast<double>(patience.count()))
      return seen(fmt::format("{} of {} desktops have no client after {} s; {}",
                              accounts_.size() - next + under_way.size(), accounts_.size(),
                              patience.count(), reason_of(node_, *under_way.front())));
  }
  return seen({});
}

Result<LotSeen> Lot::start_by_command(std::chrono::seconds patience) {
  begin_ = Clock::now();
  std::vector<std::string> words = {"desktop", "start", "--no-wait"};
  for (const auto& account : accounts_) {
    words.push_back(account.desktop);
    ways_[account.id] = {};
  }
  PANAL_TRY(node_.panal(words));
  std::size_t waiting = accounts_.size();
  while (true) {
    PANAL_ASSIGN(const auto live, node_.live());
    waiting = 0;
    for (const auto& account : accounts_) {
      Way& way = ways_[account.id];
      const auto found = live.find(account.id);
      if (found != live.end() && way.connected == 0) {
        const bool ran = way.running > 0;
        look(account, found->second);
        if (!ran && way.running > 0) {
          way.began = way.running;
          PANAL_TRY(load_.connect(account, watched_(account)));
        }
      }
      if (way.connected == 0) ++waiting;
    }
    if (waiting == 0) return seen({});
    if (Clock::now() - begin_ > patience)
      return fail(ETIMEDOUT, fmt::format("{} of {} desktops have no client after {} s", waiting,
                                         accounts_.size(), patience.count()));
    // Panald reads ten files a desktop for an answer: with many up that must not be what is
    // measured.
    std::this_thread::sleep_for(milliseconds(std::max<std::size_t>(50, live.size())));
  }
}

LotSeen Lot::seen(std::string short_of) {
  LotSeen out;
  out.short_of = std::move(short_of);
  std::vector<std::string> words = {"desktop", "stop"};
  for (const Account& account : accounts_) {
    const auto way = ways_.find(account.id);
    const bool there = way != ways_.end() && way->second.connected > 0;
    (there ? out.attached : out.missing).push_back(account);
    if (!there && way != ways_.end()) words.push_back(account.desktop);
  }
  // Whoever waits would start in the middle of what is measured next.
  load_.disconnect(out.missing);
  if (words.size() > 2)
    if (const auto stopped = node_.panal(words); !stopped) say("{}", stopped.error().message());
  return out;
}

json Lot::times() const {
  std::vector<double> running, connected, own;
  for (const auto& [id, way] : ways_) {
    if (way.connected == 0) continue;
    running.push_back(way.running);
    connected.push_back(way.connected);
    own.push_back(way.connected - way.began);
  }
  return {{"desktops", connected.size()},
          {"all_running_seconds", percentile(running, 100)},
          {"all_connected_seconds", percentile(connected, 100)},
          {"to_connected_p50_seconds", median(own)},
          {"to_connected_max_seconds", percentile(own, 100)}};
}

}  // namespace panal::bench
