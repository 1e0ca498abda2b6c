#include "bench/density/measure.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "bench/density/density.h"
#include "bench/density/hogs.h"
#include "bench/density/ksm_compare.h"

namespace panal::bench {

using nlohmann::json;

Result<Measured> measure(const std::string& figure, const MeasureOptions& options) {
  if (figure == "up.again_seconds") return measure_up_again();
  if (figure == "connect.running_p50_ms") return measure_running_connect();
  if (figure == "connect.cold_icewm_p50_ms") return measure_cold_connect();
  if (figure == "connect.first_pixel_p50_ms") return measure_first_pixel();
  if (figure == "agent.pss_kib") return measure_agent_pss();
  if (figure == "readopt.seconds") return measure_readopt();
  if (figure == "idle.cpu_ppm.icewm") return measure_idle_cpu("icewm");
  if (figure == "idle.cpu_ppm.xfce") return measure_idle_cpu("xfce");
  if (figure == "density.icewm.off.marginal_mib") return measure_density("icewm", 50);
  if (figure == "density.xfce.stock.marginal_mib") return measure_density("xfce-stock", 10);
  if (figure == "density.xfce.off.marginal_mib") return measure_density("xfce", 20);
  if (figure == "density.icewm.dense.marginal_mib") return measure_dense("icewm", 100);
  if (figure == "density.xfce.dense.marginal_mib") return measure_dense("xfce", 100);
  if (figure.starts_with("density.") || figure.starts_with("panald."))
    return measure_mix(figure, options);
  if (figure.starts_with("shave.")) return measure_shave(figure);
  if (figure == "attach.icewm_50_seconds") return measure_attach("icewm", 50);
  if (figure == "attach.xfce_20_seconds") return measure_attach("xfce", 20);
  if (figure.starts_with("ksm.")) return measure_ksm(figure);
  if (figure == "admission.error_percent") return measure_admission_error();
  if (figure == "storage.overlay.provision_p50_ms_400") return measure_overlay_provision();
  if (figure.starts_with("net.attacks")) return measure_attacks(figure);
  if (figure.starts_with("net.start_ratio") || figure.starts_with("net.cost_ratio"))
    return measure_confinement(figure);
  if (figure.starts_with("net.")) return measure_network(figure);
  if (figure == "hog.bystander") return measure_hogs();
  if (figure.starts_with("storage.fault")) return measure_faults(figure);
  if (figure.starts_with("storage.")) return measure_versions(figure);
  return fail(EINVAL, "nobody knows how to measure " + figure);
}

namespace {

/// Of plain desktops: the second minute counts.
constexpr HoldWindow kRestingHold{120, 60};

}  // namespace

Result<Measured> measure_density(const std::string& image, std::size_t count) {
  DensityOptions options;
  choose(options, image, "off");
  options.count = count;
  // Nobody takes anything back, so what has settled stays as it is: the drift in each step says
  // whether that is so, and the last one is held for long.
  options.hold = kRestingHold;
  options.last_hold = HoldWindow{};
  PANAL_ASSIGN(const auto result, run_density(options));
  PANAL_TRY(check_sound(result, true));
  json details = summary(result);
  details["silent"] = result["visit"]["silent"].size();
  return Measured{result["slope"]["marginal_mib"].get<double>(), details.dump()};
}

Result<Measured> measure_dense(const std::string& image, std::size_t count) {
  DensityOptions options;
  options.image = image;
  options.count = count;
  options.profile = "dense";
  PANAL_ASSIGN(const auto result, run_density(options));
  PANAL_TRY(check_sound(result, true));
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
  options.hold = {15, 15};
  options.started_by_clients = false;  // one command
  PANAL_ASSIGN(const auto result, run_density(options));
  PANAL_TRY(check_sound(result, true));
  return Measured{result["all_connected_seconds"].get<double>(), summary(result).dump()};
}

Result<Measured> measure_hogs() {
  PANAL_ASSIGN(const auto result, run_hogs({}));
  json details = {{"pairs", result["pairs"]}, {"window_seconds", result["window_seconds"]}};
  // A sentence each: what a reader wants to see first.
  for (const auto& [kind, one] : result["kinds"].items())
    details[kind] = fmt::format(
        "{}: p99 {:.1f} ms beside it, {:.1f} ms without (medians), {} processes of bystanders died",
        one["pass"].get<bool>() ? "pass" : "fail", one["with_p99_ms"].get<double>(),
        one["without_p99_ms"].get<double>(), one["bystanders_processes_lost"].get<std::uint64_t>());
  details["all"] = result;
  return Measured{result["failed"].get<double>(), details.dump()};
}

Result<Measured> measure_idle_cpu(const std::string& image) {
  DensityOptions options;
  options.image = image;
  options.count = 5;
  options.steps = 1;
  options.settle_seconds = 90;
  options.hold = {120, 60};  // idle, as everywhere here, is a minute without a key
  PANAL_ASSIGN(const auto result, run_density(options));
  PANAL_TRY(check_sound(result, true));
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
