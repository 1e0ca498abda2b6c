#include <nlohmann/json.hpp>

#include "bench/density/measure.h"
#include "bench/density/reconnect.h"

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

Result<Measured> measure_reconnect_added() {
  ReconnectOptions options;
  options.desktops = 2 * kTries / options.rounds + 2;  // nxagent dies now and then
  PANAL_ASSIGN(json result, run_reconnect(options));
  PANAL_TRY(tells_enough(result, options.resident_ratio, kTries));
  PANAL_ASSIGN(const double added, added_p99_ms(result, "recorded"));
  return Measured{added, details_of(std::move(result)).dump()};
}

Result<Measured> measure_resident_ratio() {
  ReconnectOptions options;
  options.desktops = 20;
  options.rounds = 0;
  PANAL_ASSIGN(json result, run_reconnect(options));
  const double ratio = result["resident"].back()["ratio"].get<double>();
  return Measured{ratio, details_of(std::move(result)).dump()};
}

}  // namespace panal::bench
