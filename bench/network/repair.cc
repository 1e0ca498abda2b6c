#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>

#include "bench/backends/spread.h"
#include "bench/density/say.h"
#include "bench/density/stopwatch.h"
#include "bench/network/network.h"
#include "bench/network/node.h"
#include "bench/network/place.h"
#include "netconfine/audit/audit_loop.h"

namespace panal::bench {
namespace {

using netconfine::AuditReport;
using nlohmann::json;

/// A kind of drift, and the shell's words that make it.
struct Tampering {
  const char* name;
  std::string command;
};

/// What the design names: a flushed table, a rule added by hand, an element that is lost.
std::vector<Tampering> tamperings(const std::string& arm) {
  if (arm == "nftables")
    return {{"flushed table", "nft flush ruleset"},
            {"added rule", "nft insert rule inet panal forward accept"},
            {"lost element", "nft delete element inet panal policy_of '{ \"pnl1\" }'"}};
  const std::string tool = arm == "iptables-nft" ? "iptables-nft" : "iptables-legacy";
  return {{"flushed table", tool + " -F"},
          {"added rule", tool + " -I FORWARD -j ACCEPT"},
          {"lost element", "ipset del \"$(ipset list -n | grep '^pnl4[a-z]$')\" 10.77.0.1,pnl1"}};
}

/// Hears what the loop reports.
class Reports {
 public:
  void hear(const AuditReport& report) {
    const std::lock_guard lock(mutex_);
    ++all_;
    if (report.outcome == AuditReport::Outcome::kRepaired) last_ = Clock::now();
    if (report.outcome == AuditReport::Outcome::kCutOff) why_ = report.why;
    heard_.notify_all();
  }
  bool wait_for_any() {
    std::unique_lock lock(mutex_);
    return heard_.wait_for(lock, kPatience, [&] { return all_ > 0; });
  }
  /// When the first repair after `begin` was reported, in seconds from then.
  Result<double> wait_for_repair(Clock::time_point begin) {
    std::unique_lock lock(mutex_);
    if (heard_.wait_for(lock, kPatience, [&] { return last_ > begin; }))
      return std::chrono::duration<double>(last_ - begin).count();
    return fail(ETIMEDOUT, "no repair was reported within a minute" +
                               (why_.empty() ? std::string() : "; desktops were cut off: " + why_));
  }

 private:
  static constexpr std::chrono::minutes kPatience{1};
  std::mutex mutex_;
  std::condition_variable heard_;
  unsigned all_ = 0;
  std::string why_;
  Clock::time_point last_{};
};

Result<json> repair_one(const NetworkOptions& options, const std::string& arm) {
  PANAL_ASSIGN(const auto node, MeasuredNode::make(arm, options.sizes.back()));
  // What a desktop may and may not, before and after each.
  PANAL_ASSIGN(auto lanes, node->lanes());
  const auto check = [&]() -> Result<void> {
    for (Lane& lane : lanes) {
      PANAL_ASSIGN(const Batch sent, lane.send());
      (void)sent;
    }
    return {};
  };
  PANAL_TRY(check());
  Reports reports;
  PANAL_ASSIGN(const auto loop,
               netconfine::AuditLoop::start(
                   *node->network(), {}, [&](const AuditReport& report) { reports.hear(report); }));
  if (!reports.wait_for_any()) return fail(ETIMEDOUT, "no audit was made");
  json out = {{"desktops", node->desktops()}, {"seconds", json::object()}};
  double longest = 0;
  for (const auto& tampering : tamperings(arm)) {
    std::vector<double> seconds;
    for (unsigned i = 0; i < options.repairs; ++i) {
      const auto begin = Clock::now();
      PANAL_ASSIGN(const auto said, run_there(node->panal(), "sh", {"-c", tampering.command}));
      (void)said;
      const auto repaired = reports.wait_for_repair(begin);
      if (!repaired) return prefixed(tampering.name, repaired.error());
      seconds.push_back(*repaired);
      if (auto checked = check(); !checked) return prefixed(tampering.name, checked.error());
    }
    longest = std::max(longest, *std::max_element(seconds.begin(), seconds.end()));
    out["seconds"][tampering.name] = to_json(spread_of(std::move(seconds)));
  }
  out["longest_seconds"] = longest;
  return out;
}

}  // namespace

Result<json> network_repair(const NetworkOptions& options, const std::vector<std::string>& arms) {
  json result = json::object();
  for (const auto& arm : arms) {
    if (!is_ours(arm)) continue;
    say("{}", arm);
    auto measured = repair_one(options, arm);
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
