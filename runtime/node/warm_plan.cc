#include "runtime/node/warm_plan.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

namespace panal::node {

using std::chrono::seconds;
using store::Desired;
using store::Observed;

namespace {

constexpr seconds kSoonestLook{60};
constexpr seconds kLatestLook{15 * 60};
/// A storm's starts find pages that were seen so lately.
constexpr seconds kFresh{20};
constexpr seconds kPauseOfFailed{10 * 60};
/// A fifth of what one spinning disk reads.
constexpr std::uint64_t kSlowBytesPerSecond = std::uint64_t{16} << 20;
/// Fewer bytes are not worth a process.
constexpr std::uint64_t kLeastTouched = std::uint64_t{4} << 20;

std::int64_t in_ns(seconds span) { return std::chrono::nanoseconds(span).count(); }

bool is_up(Observed observed) {
  return observed == Observed::kComposing || observed == Observed::kStarting ||
         observed == Observed::kRunning;
}

/// Whether anybody here uses it, or will with the next start.
bool is_wanted(const WarmDemand& demand) {
  return demand.wanting > 0 || demand.running > 0 || demand.is_default;
}

bool may_try(const WarmVersion& version, MonotonicNs now) {
  return !version.failed || !version.looked_ns || now - *version.looked_ns >= in_ns(kPauseOfFailed);
}

/// Whose pages come first when not all fit.
std::vector<std::size_t> by_need(std::span<const WarmVersion> versions) {
  std::vector<std::size_t> order(versions.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [versions](std::size_t a, std::size_t b) {
    const auto key = [versions](std::size_t i) {
      const WarmDemand& demand = versions[i].demand;
      return std::tuple(demand.wanting, demand.running, demand.is_default);
    };
    return key(a) > key(b);
  });
  return order;
}

enum class Due : std::uint8_t { kStorm, kFirst, kAgain };

bool is_due(const WarmVersion& version, Due due, MonotonicNs now) {
  // One that is to be recorded is cooled first; a storm cannot wait for that.
  if (due != Due::kStorm && !version.has_own() && !version.cooled) return false;
  if (due == Due::kFirst) return !version.looked_ns;
  const std::int64_t since = version.looked_ns ? now - *version.looked_ns : INT64_MAX;
  if (due == Due::kStorm)
    return version.demand.wanting >= WarmVersion::kStorm && since >= in_ns(kFresh);
  return since >= in_ns(version.pause);
}

class Planner {
 public:
  Planner(std::span<const WarmVersion> versions, std::uint64_t budget, std::uint64_t most,
          MonotonicNs now)
      : versions_(versions), order_(by_need(versions)), budget_(budget), most_(most), now_(now) {}

  std::optional<WarmJob> next() const {
    if (const auto job = record()) return job;
    if (const auto job = touch(Due::kStorm)) return job;
    if (const auto job = touch(Due::kFirst)) return job;
    if (const auto job = cool()) return job;
    return touch(Due::kAgain);
  }

 private:
  [[nodiscard]] std::optional<WarmJob> record() const {
    for (const std::size_t index : order_) {
      const WarmVersion& version = versions_[index];
      // Not cooled, the cache may hold all of it: whoever built it has just written it.
      if (version.has_own() || !version.cooled || !version.settled || !may_try(version, now_))
        continue;
      WarmJob job;
      job.act = WarmAct::kRecord;
      job.index = index;
      job.most_bytes = most_;
      if (version.has_other() && version.looked_ns) job.generation = *version.other_record + 1;
      return job;
    }
    return std::nullopt;
  }

  [[nodiscard]] std::optional<WarmJob> touch(Due due) const {
    std::uint64_t left = budget_;
    for (const std::size_t index : order_) {
      const WarmVersion& version = versions_[index];
      if (!is_wanted(version.demand) || (!version.has_own() && !version.has_other())) continue;
      if (left < kLeastTouched) break;
      if (is_due(version, due, now_) && may_try(version, now_)) {
        WarmJob job;
        job.index = index;
        job.other = !version.has_own();
        job.most_bytes = left;
        if (due == Due::kStorm) job.most = seconds(10);
        if (due == Due::kAgain) {
          job.bytes_per_second = kSlowBytesPerSecond;
          job.most = seconds(120);
        }
        return job;
      }
      left -= std::min(left, version.hot_bytes);
    }
    return std::nullopt;
  }

  /// In the middle of starts it would only make them slower, and show less than all.
  [[nodiscard]] std::optional<WarmJob> cool() const {
    const bool starts = std::any_of(versions_.begin(), versions_.end(),
                                    [](const auto& version) { return version.demand.wanting > 0; });
    if (starts) return std::nullopt;
    for (const std::size_t index : order_) {
      const WarmVersion& version = versions_[index];
      if (version.has_own() || version.cooled || !is_wanted(version.demand) ||
          !may_try(version, now_))
        continue;
      WarmJob job;
      job.act = WarmAct::kCool;
      job.index = index;
      return job;
    }
    return std::nullopt;
  }

  std::span<const WarmVersion> versions_;
  std::vector<std::size_t> order_;
  std::uint64_t budget_;
  std::uint64_t most_;
  MonotonicNs now_;
};

}  // namespace

std::string_view to_string(WarmAct act) {
  switch (act) {
    case WarmAct::kTouch: return "touch";
    case WarmAct::kRecord: return "record";
    case WarmAct::kCool: return "cool";
  }
  return "?";
}

std::vector<WarmDemand> warm_demands(const std::vector<const store::Desktop*>& rows,
                                     const std::map<std::string, std::string>& defaults) {
  std::map<std::pair<std::string, std::string>, WarmDemand> found;
  const auto of = [&found](const std::string& image, const std::string& version) -> WarmDemand& {
    WarmDemand& demand = found[{image, version}];
    demand.image = image;
    demand.version = version;
    return demand;
  };
  for (const store::Desktop* row : rows) {
    const auto usual = defaults.find(row->image);
    const std::string next = !row->version.empty()     ? row->version
                             : usual != defaults.end() ? usual->second
                                                       : "";
    if (usual != defaults.end() && !usual->second.empty())
      of(row->image, usual->second).is_default = true;
    const std::string version =
        is_up(row->observed) && !row->running_version.empty() ? row->running_version : next;
    if (version.empty()) continue;
    if (row->observed == Observed::kRunning)
      ++of(row->image, version).running;
    else if (row->desired == Desired::kRunning &&
             (row->observed != Observed::kFailed || row->generation > row->claimed_generation))
      ++of(row->image, version).wanting;
  }
  std::vector<WarmDemand> demands;
  demands.reserve(found.size());
  for (auto& [key, demand] : found) demands.push_back(std::move(demand));
  return demands;
}

std::optional<WarmJob> next_warm_job(std::span<const WarmVersion> versions,
                                     std::uint64_t budget_bytes, std::uint64_t most_bytes,
                                     MonotonicNs now_ns) {
  return Planner(versions, budget_bytes, most_bytes, now_ns).next();
}

seconds next_warm_pause(seconds last, std::uint64_t hot_bytes, std::uint64_t read_bytes) {
  // A twentieth comes and goes with what desktops do.
  if (read_bytes > hot_bytes / 20) return kSoonestLook;
  return std::clamp(last * 2, kSoonestLook, kLatestLook);
}

}  // namespace panal::node
