#include <nlohmann/json.hpp>

#include "bench/backends/backends.h"
#include "bench/density/measure.h"
#include "bench/faults/faults.h"

namespace panal::bench {

using nlohmann::json;

Result<Measured> measure_overlay_provision() {
  BackendsOptions options;
  options.arms = {"overlay"};
  options.count = 400;
  options.cycles = 401;
  PANAL_ASSIGN(const json result, run_backends(options));
  const json& arm = result["arms"]["overlay"];
  if (arm.contains("skipped")) return fail(ENODEV, arm["skipped"].get<std::string>());
  if (arm.contains("failed")) return fail(EIO, "overlay: " + arm["failed"].get<std::string>());
  if (arm["count"] != options.count)
    return fail(ETIMEDOUT, "only " + arm["count"].dump() + " roots stood in time");
  json details = {{"version", result["version"]["name"]},
                  {"roots", arm["count"]},
                  {"cycles", arm["many"]["provision_ms"]["count"]},
                  {"provision_p99_ms", arm["many"]["provision_ms"]["p99"]},
                  {"provision_p50_ms_one", arm["one"]["provision_ms"]["p50"]},
                  {"destroy_p50_ms", arm["many"]["destroy_ms"]["p50"]},
                  {"second_extra_mib", arm["second_extra_mib"]},
                  {"all", arm}};
  return Measured{arm["many"]["provision_ms"]["p50"].get<double>(), details.dump()};
}

Result<Measured> measure_faults(const std::string& figure) {
  PANAL_ASSIGN(const json result, run_faults({}));
  return of_one_run(figure,
                    {{"storage.faults_lost", result["lost"].get<double>()},
                     {"storage.fault_points", result["points"].get<double>()}},
                    result.dump());
}

}  // namespace panal::bench
