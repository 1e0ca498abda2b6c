#include "bench/density/measure.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "bench/density/density.h"
#include "bench/density/hogs.h"
#include "bench/density/ksm_compare.h"

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
  if (figure == "density.xfce.stock.marginal_mib") return measure_density("xfce-stock", 10);
  if (figure == "density.xfce.off.marginal_mib") return measure_density("xfce", 20);
  if (figure == "density.icewm.dense.marginal_mib") return measure_dense("icewm", 100);
  if (figure == "density.xfce.dense.marginal_mib") return measure_dense("xfce", 100);
  if (figure == "density.icewm.mix.marginal_mib") return measure_mix("icewm", 100);
  if (figure == "density.xfce.mix.marginal_mib") return measure_mix("xfce", 100);
  if (figure == "density.xfce.mix.count") return measure_mix_count("xfce", 400, 8);
  if (figure == "density.icewm.mix.count") return measure_mix_count("icewm", 1000, 10);
  if (figure == "shave.reconnect_added_p99_ms") return measure_reconnect_added();
  if (figure == "shave.resident_ratio") return measure_resident_ratio();
  if (figure == "attach.icewm_50_seconds") return measure_attach("icewm", 50);
  if (figure == "attach.xfce_20_seconds") return measure_attach("xfce", 20);
  if (figure.starts_with("ksm.")) return measure_ksm(figure);
  if (figure.starts_with("panald.")) return measure_panald(figure);
  if (figure == "admission.error_percent") return measure_admission_error();
  if (figure == "hog.bystander") return measure_hogs();
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
              {"panald_cpu_percent", last["panald_cpu_percent"]},
              {"panald_pss_mib", last["panald_pss_mib"]},
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
  // Debian's own: its compositor leaves no CPU to answer with.
  options.must_answer = image != "xfce-stock";
  PANAL_ASSIGN(const auto result, run_density(options));
  json details = summary(result);
  details["silent"] = result["visit"]["silent"];
  return Measured{result["slope"]["marginal_mib"].get<double>(), details.dump()};
}

Result<Measured> measure_dense(const std::string& image, std::size_t count) {
  DensityOptions options;
  options.image = image;
  options.count = count;
  options.hold_seconds = 15;
  options.profile = "dense";
  // The governor waits for the starts' end, then makes its passes; idle ones are taken from four
  // minutes after their last key.
  options.rest_seconds = 330;
  PANAL_ASSIGN(const auto result, run_density(options));
  json details = summary(result);
  details["ksm"] = result["optimiser"]["ksm"];
  details["optimiser_cpu_seconds"] = result["optimiser"]["looks"]["cpu_ns"].get<double>() / 1e9;
  return Measured{result["slope"]["marginal_mib"].get<double>(), details.dump()};
}

namespace {

DensityOptions mix_of(const std::string& image, std::size_t count) {
  DensityOptions options;
  options.image = image;
  options.count = count;
  options.profile = "dense";
  options.active_percent = 10;
  options.disconnected_percent = 60;
  return options;
}

json mix_details(const json& result) {
  json details = summary(result);
  details["optimiser"] = result["optimiser"];
  details["typing"] = result["steps"].back()["typing"];
  details["visit"] = result["visit"];
  return details;
}

}  // namespace

Result<Measured> measure_mix(const std::string& image, std::size_t count) {
  DensityOptions options = mix_of(image, count);
  options.hold_seconds = 60;
  // Idle ones are taken from four minutes after their last key; then it takes a while.
  options.rest_seconds = 300;
  PANAL_ASSIGN(const auto result, run_density(options));
  return Measured{result["slope"]["marginal_mib"].get<double>(), mix_details(result).dump()};
}

Result<Measured> measure_mix_count(const std::string& image, std::size_t count, std::size_t steps) {
  DensityOptions options = mix_of(image, count);
  options.steps = steps;
  options.settle_seconds = 30;
  options.hold_seconds = 60;
  options.last_hold_seconds = 600;
  PANAL_ASSIGN(const auto result, run_density(options));
  // The run ends with an error when one of them does not answer. The largest lot whose typists
  // were not kept waiting is what holds.
  constexpr double kLongestMs = 100;
  std::size_t holds = 0;
  for (const json& step : result["steps"]) {
    const json typing = step.value("typing", json::object());
    if (typing.value("lost", 1) == 0 && typing.value("p99_ms", 1e9) <= kLongestMs)
      holds = step["count"];
  }
  return Measured{static_cast<double>(holds), mix_details(result).dump()};
}

Result<Measured> measure_panald(const std::string& figure) {
  DensityOptions options = mix_of("icewm", 400);
  options.steps = 4;
  options.settle_seconds = 30;
  // What taking memory back costs is over by then; this is about having 400.
  options.last_rest_seconds = 600;
  options.last_hold_seconds = 300;
  PANAL_ASSIGN(const auto result, run_density(options));
  const json& last = result["steps"].back();
  json details = mix_details(result);
  for (const auto& [part, one] : last["panald_parts"].items()) {
    details[part + "_cpu_percent"] = one["cpu_percent"];
    details[part + "_pss_mib"] = one["pss_mib"];
  }
  const std::pair<std::string, double> both[] = {
      {"panald.cpu_percent_400", last["panald_cpu_percent"].get<double>()},
      {"panald.pss_mib_400", last["panald_pss_mib"].get<double>()}};
  const bool first = figure == both[0].first;
  return Measured{both[first ? 0 : 1].second, details.dump(), {both[first ? 1 : 0]}};
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
  options.rest_seconds = 60;  // idle, as everywhere here, is a minute without a key
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
