#include "bench/density/measure.h"

#include <nlohmann/json.hpp>

#include "bench/density/density.h"

namespace panal::bench {

using nlohmann::json;

Result<Measured> measure(const std::string& figure) {
  if (figure == "up.again_seconds") return measure_up_again();
  if (figure == "connect.running_p50_ms") return measure_running_connect();
  if (figure == "connect.cold_icewm_p50_ms") return measure_cold_connect();
  if (figure == "connect.first_pixel_p50_ms") return measure_first_pixel();
  if (figure == "agent.pss_kib") return measure_agent_pss();
  if (figure == "readopt.seconds") return measure_readopt();
  if (figure == "idle.cpu_ppm.icewm") return measure_idle_cpu("icewm");
  if (figure == "idle.cpu_ppm.xfce") return measure_idle_cpu("xfce");
  if (figure == "density.icewm.off.marginal_mib") return measure_density("icewm", 50);
  if (figure == "density.xfce.off.marginal_mib") return measure_density("xfce", 20);
  if (figure == "density.icewm.dense.marginal_mib") return measure_dense("icewm", 100);
  if (figure == "density.xfce.dense.marginal_mib") return measure_dense("xfce", 100);
  if (figure == "shave.reconnect_added_p99_ms") return measure_reconnect_added();
  if (figure == "shave.resident_ratio") return measure_resident_ratio();
  if (figure == "attach.icewm_50_seconds") return measure_attach("icewm", 50);
  if (figure == "attach.xfce_20_seconds") return measure_attach("xfce", 20);
  return fail(EINVAL, "nobody knows how to measure " + figure);
}

namespace {

/// The last step, flattened into what a reader wants first.
json summary(const json& result) {
  const json& last = result["steps"].back();
  json out = {{"desktops", result["count"]},
              {"marginal_mib", result["slope"]["marginal_mib"]},
              {"charged_marginal_mib", result["slope"]["charged_marginal_mib"]},
              {"available_slope_mib", result["slope"]["available_mib"]},
              {"load_generator_slope_mib", result["slope"]["load_mib"]},
              {"memory_charge_slope_mib", result["slope"]["desktops_charge_mib"]},
              {"anonymous_slope_mib", result["slope"]["desktops_anon_mib"]},
              {"desktop_cpu_ppm", last["cpu_ppm_per_desktop"]["desktops"]},
              {"first_lot_seconds", result["all_connected_seconds"]},
              {"first_lot_desktops", result["steps"][0]["count"]},
              {"settled", last["settled"]},
              {"first_lot_settled_seconds", result["steps"][0]["start"]["settled_seconds"]},
              {"down_seconds", result["down_seconds"]}};
  out["steps"] = result["steps"];
  return out;
}

}  // namespace

Result<Measured> measure_density(const std::string& image, std::size_t count) {
  DensityOptions options;
  options.image = image;
  options.count = count;
  options.hold_seconds = 15;
  PANAL_ASSIGN(const auto result, run_density(options));
  return Measured{result["slope"]["marginal_mib"].get<double>(), summary(result).dump()};
}

Result<Measured> measure_dense(const std::string& image, std::size_t count) {
  DensityOptions options;
  options.image = image;
  options.count = count;
  options.hold_seconds = 15;
  options.profile = "dense";
  // The governor waits for the starts' end, then makes its passes.
  options.rest_seconds = 75;
  PANAL_ASSIGN(const auto result, run_density(options));
  json details = summary(result);
  details["ksm"] = result["optimiser"]["ksm"];
  details["optimiser_cpu_seconds"] = result["optimiser"]["looks"]["cpu_ns"].get<double>() / 1e9;
  return Measured{result["slope"]["marginal_mib"].get<double>(), details.dump()};
}

Result<Measured> measure_attach(const std::string& image, std::size_t count) {
  DensityOptions options;
  options.image = image;
  options.count = count;
  options.steps = 1;
  options.hold_seconds = 15;
  PANAL_ASSIGN(const auto result, run_density(options));
  return Measured{result["all_connected_seconds"].get<double>(), summary(result).dump()};
}

Result<Measured> measure_idle_cpu(const std::string& image) {
  DensityOptions options;
  options.image = image;
  options.count = 5;
  options.steps = 1;
  options.settle_seconds = 90;
  options.hold_seconds = 60;
  PANAL_ASSIGN(const auto result, run_density(options));
  const json& last = result["steps"].back();
  const json& cpu = last["cpu_ppm_per_desktop"];
  double sum = 0;
  json details = {{"desktops", options.count},
                  {"held_seconds", last["held_seconds"]},
                  {"settled", last["settled"]}};
  for (const char* part : {"desktops", "monitors", "nxproxy", "panal-client", "panal-broker"}) {
    sum += cpu[part].get<double>();
    details[std::string(part) + "_ppm"] = cpu[part];
  }
  details["not counted: panald_ppm"] = cpu["panald"];
  return Measured{sum, details.dump()};
}

}  // namespace panal::bench
