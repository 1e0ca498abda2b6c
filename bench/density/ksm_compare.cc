#include "bench/density/ksm_compare.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "bench/density/ksm_arm.h"
#include "bench/density/ksm_evaluation.h"
#include "bench/density/say.h"
#include "bench/density/stored.h"
#include "bench/density/units.h"

namespace panal::bench {
namespace {

using nlohmann::json;

/// As many moments of a course are kept: enough for a plot.
constexpr unsigned kMoments = 240;

/// A course in time: a line of whole numbers for each value, so that a stored result stays small.
json course(const KsmArm& arm, unsigned window_seconds) {
  const double every = std::max(1.0, std::floor(static_cast<double>(window_seconds) / kMoments));
  std::string seconds, profit, sharing, cpu, cow, pace;
  double next = arm.points.empty() ? 0 : arm.points.front().seconds;
  for (const KsmPoint& point : arm.points) {
    if (point.seconds + 0.25 < next) continue;
    next = point.seconds + every;
    const char* const gap = seconds.empty() ? "" : " ";
    seconds += fmt::format("{}{:.0f}", gap, point.seconds);
    profit += fmt::format("{}{:.0f}", gap, point.profit_bytes / kMib);
    sharing += fmt::format("{}{:.0f}", gap, point.pages_sharing);
    cpu += fmt::format("{}{:.0f}", gap, point.ksmd_cpu_seconds * 1000);
    cow += fmt::format("{}{:.0f}", gap, point.cow_pages);
    pace += fmt::format("{}{:.0f}/{:.0f}", gap, point.pages_to_scan, point.sleep_ms);
  }
  return {{"seconds", seconds}, {"profit_mib", profit}, {"pages_sharing", sharing},
          {"ksmd_cpu_ms", cpu}, {"cow_pages", cow},     {"pages_per_ms", pace}};
}

json describe(const KsmArmResult& result, const KsmArmResult* governor) {
  json out = {{"best_profit_mib", result.best_profit_bytes / kMib},
              {"final_profit_mib", result.final_profit_bytes / kMib},
              {"ksmd_cpu_seconds", result.cpu_seconds},
              {"ksmd_cpu_seconds_during_starts", result.starts_cpu_seconds},
              {"cow_pages", result.cow_pages}};
  out["to_90_percent_seconds"] = result.to_90_seconds ? json(*result.to_90_seconds) : json(nullptr);
  if (governor != nullptr && result.cpu_seconds > 0) {
    out["governor_cpu_ratio"] = governor->cpu_seconds / result.cpu_seconds;
    out["governor_profit_ratio"] = governor->final_profit_bytes / result.final_profit_bytes;
  }
  return out;
}

Result<void> save_trace(const KsmOptions& options, const policy::Trace& trace) {
  utsname system{};
  ::uname(&system);
  const std::string comment = fmt::format(
      "what the KSM governor saw and decided, once a second: {} {} desktops of profile dense "
      "without zram,\na window of {} s after the last start, {} % of them churned at 8/15 of "
      "it\non Linux {}",
      options.count, options.image, options.window_seconds, options.churn_percent, system.release);
  return write_file(options.trace_file, policy::print_trace(trace, comment));
}

}  // namespace

Result<json> run_ksm(const KsmOptions& options) {
  std::vector<KsmArm> arms;
  json each = json::object();
  double full_rss = 0;
  for (const std::string& name : options.arms) {
    PANAL_ASSIGN(auto run, run_ksm_arm(options, name, full_rss));
    if (full_rss == 0) full_rss = run.rss_bytes;
    if (name == kGovernorArm && !options.trace_file.empty())
      PANAL_TRY(save_trace(options, run.trace));
    if (run.arm.points.empty()) return fail(ENODATA, "arm " + name + " was not sampled");
    const KsmPoint& last = run.arm.points.back();
    say("{} is over: {:.0f} MiB won, ksmd used {:.1f} s", name, last.profit_bytes / kMib,
        last.ksmd_cpu_seconds);
    each[name] = std::move(run.details);
    each[name]["course"] = course(run.arm, options.window_seconds);
    arms.push_back(std::move(run.arm));
  }
  PANAL_ASSIGN(const KsmVerdict verdict, evaluate_ksm(arms, options.window_seconds));
  const KsmArmResult* governor = nullptr;
  for (const auto& arm : verdict.arms)
    if (arm.name == kGovernorArm) governor = &arm;
  json out = {{"image", options.image},
              {"desktops", options.count},
              {"window_seconds", options.window_seconds},
              {"churn_percent", options.churn_percent},
              {"best_other_arm", verdict.best},
              {"common_profit_mib", verdict.common_profit_bytes / kMib}};
  for (const auto& arm : verdict.arms) {
    each[arm.name].update(describe(arm, governor));
    say("{:8}: {:.0f} MiB in the end ({:.0f} at best), ksmd {:.1f} s (+ {:.1f} s before the last "
        "start), 90 % after {:.0f} s, {:.0f} pages written to",
        arm.name, arm.final_profit_bytes / kMib, arm.best_profit_bytes / kMib, arm.cpu_seconds,
        arm.starts_cpu_seconds, arm.to_90_seconds.value_or(-1), arm.cow_pages);
    // Beside the structured part: what a reader of the report sees.
    out[arm.name + "_final_mib"] = arm.final_profit_bytes / kMib;
    out[arm.name + "_ksmd_seconds"] = arm.cpu_seconds;
    if (arm.to_90_seconds) out[arm.name + "_to_90_percent_seconds"] = *arm.to_90_seconds;
  }
  if (verdict.profit_ratio) out["ksm.profit_ratio"] = *verdict.profit_ratio;
  if (verdict.cpu_ratio) out["ksm.cpu_ratio"] = *verdict.cpu_ratio;
  if (verdict.speedup) out["ksm.speedup"] = *verdict.speedup;
  out["arms"] = std::move(each);
  return out;
}

Result<Measured> measure_ksm(const std::string& figure) {
  PANAL_ASSIGN(const auto result, run_ksm(KsmOptions{}));
  if (!result.contains(figure)) return fail(ENODATA, "the run did not come to " + figure);
  Measured out{result[figure].get<double>(), result.dump(), {}};
  for (const char* name : {"ksm.profit_ratio", "ksm.cpu_ratio", "ksm.speedup"})
    if (name != figure && result.contains(name))
      out.also.emplace_back(name, result[name].get<double>());
  return out;
}

}  // namespace panal::bench
