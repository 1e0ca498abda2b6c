#include <nlohmann/json.hpp>

#include "bench/density/measure.h"
#include "bench/density/reconnect.h"
#include "bench/density/say.h"

namespace panal::bench {

using nlohmann::json;

namespace {

/// Of each kind; fewer say nothing of a 99th percentile.
constexpr std::size_t kTries = 50;

json details_of(json result) {
  for (auto& [what, by_treatment] : result.items())
    if (what == "first_picture_ms" || what == "accepted_ms")
      for (auto& [treatment, values] : by_treatment.items())
        result[treatment + "_" + what + "_p50"] = values["p50"];
  const json& last = result["resident"].back();
  for (const char* key : {"ratio", "max_ratio", "pss_before_mib", "pss_after_mib", "spared_ratio"})
    result[key] = last[key];
  result["optimiser"].erase("desktops");
  return result;
}

}  // namespace

Result<Measured> measure_shave(const std::string& figure) {
  ReconnectOptions options;
  options.desktops = 2 * kTries / options.rounds + 2;  // nxagent dies now and then
  PANAL_ASSIGN(json result, run_reconnect(options));
  std::vector<std::pair<std::string, double>> all = {
      {"shave.resident_ratio", result["resident"].back()["ratio"].get<double>()}};
  const auto enough = tells_enough(result, options.resident_ratio, kTries);
  if (enough) {
    PANAL_ASSIGN(const double added, added_p99_ms(result, "recorded"));
    all.emplace_back("shave.reconnect_added_p99_ms", added);
  } else {
    say("{}", enough.error().context);
    if (figure != all.front().first) return tl::make_unexpected(enough.error());
  }
  return of_one_run(figure, std::move(all), details_of(std::move(result)).dump());
}

}  // namespace panal::bench
