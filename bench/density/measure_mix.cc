// The figures of the mix of active, idle and disconnected desktops.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "bench/density/density.h"
#include "bench/density/measure.h"

namespace panal::bench {

using nlohmann::json;

namespace {

/// Where panald's own figures are taken.
constexpr std::size_t kPanaldsStep = 400;
/// What taking memory back costs is over by then; this is about having 400.
constexpr HoldWindow kPanaldsHold{900, 300};
/// Each held for ten minutes, as a slope wants five; more lots would not be gentler, as clients
/// come a few at a time whatever the size of a lot.
constexpr std::size_t kSteps = 5;

DensityOptions options_of(const std::string& image, const MeasureOptions& options) {
  DensityOptions out;
  out.image = image;
  out.profile = "dense";
  out.shares = {.active_percent = 10, .disconnected_percent = 60};
  out.steps = kSteps;
  out.until_seconds = options.until_seconds;
  out.beyond_hold_seconds = options.beyond_hold_seconds;
  if (image == "xfce") {
    out.count = 400;
    out.beyond = 800;
  } else {
    out.count = 1000;
    out.beyond = 1500;
    out.hold_at[kPanaldsStep] = kPanaldsHold;
  }
  return out;
}

}  // namespace

Result<Measured> of_one_run(const std::string& figure,
                            std::vector<std::pair<std::string, double>> all, std::string details) {
  const auto asked =
      std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.first == figure; });
  if (asked == all.end())
    return fail(ENODATA, "the run came to an end before it could measure " + figure);
  Measured out{asked->second, std::move(details)};
  all.erase(asked);
  out.also = std::move(all);
  return out;
}

json summary(const json& result) {
  const json& steps = result["steps"];
  std::size_t held = steps.size() - 1;  // the largest number that was held for long
  while (held > 0 && (steps[held]["kind"] == "beyond" || !steps[held]["held"].get<bool>())) --held;
  const json& last = steps[held];
  json out = {{"desktops", result["count"]},
              {"up", result["up"]},
              {"holds", result["holds"]},
              {"ended", result["ended"]},
              {"marginal_mib", result["slope"]["marginal_mib"]},
              {"charged_marginal_mib", result["slope"]["charged_marginal_mib"]},
              {"available_slope_mib", result["slope"]["available_mib"]},
              {"load_generator_slope_mib", result["slope"]["load_mib"]},
              {"memory_charge_slope_mib", result["slope"]["desktops_charge_mib"]},
              {"anonymous_slope_mib", result["slope"]["desktops_anon_mib"]},
              {"pss_slope_mib", result["slope"]["desktops_pss_mib"]},
              {"desktop_cpu_ppm", last["cpu_ppm_per_desktop"]["desktops"]},
              {"panald_cpu_percent", last["panald_cpu_percent"]},
              {"panald_taking_cpu_percent", last["panald_taking_cpu_percent"]},
              {"panald_pss_mib", last["panald_pss_mib"]},
              {"desktops_pss_mib", last["desktops_memory"]["pss_mib"]},
              {"load_generator_mib", last["load_mib"]},
              {"load_generator_cpu_percent", last["load_cpu_percent"]},
              {"killed", result["limits"]["killed"]},
              {"kernel_log_read", result["limits"]["kernel_log"]["read"]},
              {"first_lot_seconds", result["all_connected_seconds"]},
              {"first_lot_desktops", steps[0]["count"]},
              {"settled", last["settled"]},
              {"first_lot_settled_seconds", steps[0]["start"]["settled_seconds"]},
              {"run_seconds", result["seconds"]},
              {"down_seconds", result["down_seconds"]}};
  for (const char* key : {"steps", "visit", "limits"}) out[key] = result[key];
  // Its reports by step are long, and the run's last says it all.
  for (json& step : out["steps"]) step.erase("optimiser");
  return out;
}

Result<Measured> measure_mix(const std::string& figure, const MeasureOptions& options) {
  const std::string image = figure.find(".xfce.") != std::string::npos ? "xfce" : "icewm";
  PANAL_ASSIGN(const json result, run_density(options_of(image, options)));
  // Fewer than were asked for are a result like any other: the largest number that held is one.
  PANAL_TRY(check_sound(result, false));
  json details = summary(result);
  details["optimiser"] = result["optimiser"];
  const std::string prefix = "density." + image + ".mix.";
  std::vector<std::pair<std::string, double>> all = {
      {prefix + "count", result["holds"].get<double>()}};
  std::size_t points = 0;
  for (const json& step : result["steps"]) {
    if (step["kind"] != "target") continue;
    ++points;
    if (image != "icewm" || step["count"] != kPanaldsStep) continue;
    all.emplace_back("panald.cpu_percent_400", step["panald_cpu_percent"].get<double>());
    all.emplace_back("panald.pss_mib_400", step["panald_pss_mib"].get<double>());
    for (const auto& [part, one] : step["panald_parts"].items())
      for (const auto& [what, value] : one.items()) details[part + "_" + what + "_400"] = value;
  }
  if (points >= kSteps)
    all.emplace_back(prefix + "marginal_mib", result["slope"]["marginal_mib"].get<double>());
  return of_one_run(figure, std::move(all), details.dump());
}

}  // namespace panal::bench
