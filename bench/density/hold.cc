#include "bench/density/hold.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/density/units.h"
#include "engine/base/arithmetic.h"

namespace panal::bench {
namespace {

using nlohmann::json;

/// Of all of a program's processes between two censuses. What ended in between takes its own with
/// it (not that of panald's parts: see Census), which is no reason for less than nothing.
double cores_of(const Census& then, const Census& now, double over_seconds,
                const std::string& name) {
  const auto first = then.cpu.find(name);
  const auto last = now.cpu.find(name);
  if (last == now.cpu.end() || over_seconds <= 0) return 0;
  const double before = first == then.cpu.end() ? 0 : first->second;
  return std::max(0.0, last->second - before) / 1e9 / over_seconds;
}

void describe_panald(const Held& held, json& out) {
  double percent = 0, taking_percent = 0, pss_mib = 0;
  for (const char* part : kPanaldParts) {
    const auto pss = held.end.pss.find(part);
    const double mib = pss == held.end.pss.end() ? 0 : pss->second / kMib;
    const double counted = 100 * cores_of(held.counted, held.end, held.seconds, part);
    const double taking = 100 * cores_of(held.begin, held.counted, held.taking_seconds, part);
    out["panald_parts"][part] = {
        {"cpu_percent", counted}, {"taking_cpu_percent", taking}, {"pss_mib", mib}};
    percent += counted;
    taking_percent += taking;
    pss_mib += mib;
  }
  out["panald_cpu_percent"] = percent;
  out["panald_taking_cpu_percent"] = taking_percent;
  out["panald_pss_mib"] = pss_mib;
}

}  // namespace

HoldWindow hold_window(unsigned seconds, unsigned counted) {
  seconds = std::max(1U, seconds);
  if (counted == 0) counted = (seconds + 1) / 2;
  return {seconds, std::min(seconds, counted)};
}

Result<Held> hold(const Sampler& sampler, const HostWatch& host, const HoldWindow& window) {
  Held out;
  PANAL_ASSIGN(out.begin, sampler.census(false));
  PANAL_ASSIGN(const Sample begin, sampler.sample());
  std::this_thread::sleep_for(std::chrono::seconds(window.seconds - window.counted_seconds));
  PANAL_ASSIGN(out.counted, sampler.census(false));
  out.host_counted = host.look();
  PANAL_ASSIGN(const Sample first, sampler.sample());
  std::vector<std::pair<double, double>> available;
  std::vector<double> load, lab, charge, anon;
  Sample last = first;
  for (unsigned i = 0; i < window.counted_seconds; ++i) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    PANAL_ASSIGN(last, sampler.sample());
    available.emplace_back(last.seconds, last.available);
    load.push_back(last.load_charge);
    lab.push_back(last.lab_charge);
    charge.push_back(last.desktops_charge);
    anon.push_back(last.desktops_anon);
  }
  out.host_end = host.look();
  out.taking_seconds = first.seconds - begin.seconds;
  out.seconds = last.seconds - first.seconds;
  out.desktop_cores = (last.desktops_cpu - first.desktops_cpu) / 1e9 / out.seconds;
  out.monitor_cores = (last.monitors_cpu - first.monitors_cpu) / 1e9 / out.seconds;
  out.load_cores = (last.load_cpu - first.load_cpu) / 1e9 / out.seconds;
  out.load_swap = last.load_swap;
  PANAL_ASSIGN(out.end, sampler.census(true));
  out.available_drift = fit_line(available).slope;
  std::vector<double> levels;
  for (const auto& [seconds, bytes] : available) levels.push_back(bytes);
  out.available = median(std::move(levels));
  out.load = median(load);
  out.lab = median(lab);
  out.charge = median(charge);
  out.anon = median(anon);
  return out;
}

json describe(const Held& held, std::size_t count) {
  json out = {{"count", count},
              {"mem_available_mib", held.available / kMib},
              {"mem_available_drift_mib_per_minute", held.available_drift * 60 / kMib},
              {"load_mib", held.load / kMib},
              {"load_swapped_mib", held.load_swap / kMib},
              {"load_cpu_percent", held.load_cores * 100},
              {"lab_mib", held.lab / kMib},
              {"desktops_charge_mib", held.charge / kMib},
              {"desktops_anon_mib", held.anon / kMib},
              {"taking_seconds", held.taking_seconds},
              {"held_seconds", held.seconds},
              {"host", describe(held.host_counted, held.host_end, held.seconds)}};
  const double each = 1e6 / static_cast<double>(std::max<std::size_t>(count, 1));
  json cpu = {{"desktops", held.desktop_cores * each}, {"monitors", held.monitor_cores * each}};
  for (const char* name : {"nxproxy", "panal-client", "panal-broker", "panald", "Xvfb", "postgres"})
    cpu[name] = cores_of(held.counted, held.end, held.seconds, name) * each;
  out["cpu_ppm_per_desktop"] = cpu;
  describe_panald(held, out);
  for (const auto& [name, bytes] : held.end.pss) {
    out["pss_mib"][name] = bytes / kMib;
    out["processes"][name] = held.end.processes.at(name);
  }
  for (const auto& [name, number] : held.end.programs)
    if (number * 2 >= static_cast<int>(count)) out["programs"][name] = number;
  return out;
}

json slopes(const json& steps) {
  const auto over = [&](const std::function<double(const json&)>& value) {
    std::vector<std::pair<double, double>> points;
    for (const auto& step : steps)
      if (step.at("kind") == "target")
        points.emplace_back(step["count"].get<double>(), value(step));
    return fit_line(points).slope;
  };
  const auto field = [](const char* name) {
    return [name](const json& step) { return step[name].get<double>(); };
  };
  const double available = -over(field("mem_available_mib"));
  const double load = over(field("load_mib"));
  json helpers = json::object();
  for (const char* name : {"panald", "panal-broker", "panal-spawner", "postgres", "monitor"})
    helpers[name] = over([name](const json& step) {
      return step.contains("pss_mib") ? step["pss_mib"].value(name, 0.0) : 0.0;
    });
  return {{"marginal_mib", available - load},
          {"charged_marginal_mib", over(field("lab_mib")) - load},
          {"available_mib", available},
          {"load_mib", load},
          {"desktops_charge_mib", over(field("desktops_charge_mib"))},
          {"desktops_anon_mib", over(field("desktops_anon_mib"))},
          {"desktops_pss_mib", over([](const json& step) {
             return step.contains("desktops_memory") ? step["desktops_memory"].value("pss_mib", 0.0)
                                                     : 0.0;
           })},
          {"helpers_pss_mib", helpers}};
}

}  // namespace panal::bench
