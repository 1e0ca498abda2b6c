// What confinement costs, at 400 and at 1,000 desktops: of each number one run measures both
// figures.
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "bench/density/confinement.h"
#include "bench/density/confinement_ratios.h"
#include "bench/density/measure.h"

namespace panal::bench {

using nlohmann::json;

namespace {

/// So that a run ends within an hour, or an hour and forty minutes: all are stopped in the end.
constexpr unsigned kSecondsOf400 = 3300;
constexpr unsigned kSecondsOf1000 = 5600;

Ratio ratio_from(const json& one) {
  return {one["pairs"].get<std::size_t>(), one["median"].get<double>(), one["low95"].get<double>(),
          one["high95"].get<double>()};
}

}  // namespace

Result<Measured> measure_confinement(const std::string& figure) {
  const bool thousand = figure.ends_with("_1000");
  ConfinementOptions options;
  options.count = thousand ? 1000 : 400;
  options.limit_seconds = thousand ? kSecondsOf1000 : kSecondsOf400;
  PANAL_ASSIGN(const json result, run_confinement(options));
  const json& told = result["ratios"];
  const ConfinementRatios ratios{ratio_from(told["start"]), ratio_from(told["cpu"]),
                                 ratio_from(told["mib"]), ratio_from(told["charged_mib"])};
  // Of nothing to compare with, a bound would be 0, which passes.
  for (const Ratio& ratio : {ratios.start, ratios.cpu, ratios.mib})
    if (ratio.pairs < options.least_pairs)
      return fail(EPROTO, "only " + std::to_string(ratio.pairs) +
                              " pairs can be compared: in the others the open arm cost nothing");
  json details = {{"pairs", result["pairs"]},
                  {"lot", result["lot"]},
                  {"beside", result["background"]},
                  {"run_seconds", result["seconds"]},
                  {"all", result}};
  for (const auto& [name, ratio] : told.items())
    for (const char* key : {"low95", "median", "high95"})
      details[name + "_ratio_" + key] = ratio[key];
  const std::string size = thousand ? "_1000" : "_400";
  return of_one_run(figure,
                    {{"net.start_ratio" + size, start_figure(ratios)},
                     {"net.cost_ratio" + size, cost_figure(ratios)}},
                    details.dump());
}

}  // namespace panal::bench
