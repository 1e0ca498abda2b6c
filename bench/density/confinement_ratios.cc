#include "bench/density/confinement_ratios.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace panal::bench {
namespace {

using nlohmann::json;

constexpr std::pair<const char*, const char*> kRatios[] = {{"start", "time of a start"},
                                                           {"cpu", "CPU until it has rested"},
                                                           {"mib", "memory (MemAvailable)"},
                                                           {"charged_mib", "memory (charged)"}};

}  // namespace

bool confined_first(unsigned pair) { return pair % 2 == 0; }

bool another_fits(double elapsed_seconds, double longest_seconds, double limit_seconds) {
  return elapsed_seconds + longest_seconds <= limit_seconds;
}

ConfinementRatios confinement_ratios(const std::vector<LotCost>& lots) {
  std::vector<LotCost> open, confined;
  for (std::size_t i = 0; i + 1 < lots.size(); i += 2) {
    const bool first = lots[i].confined;
    confined.push_back(lots[first ? i : i + 1]);
    open.push_back(lots[first ? i + 1 : i]);
  }
  const auto ratio = [&](double LotCost::* value) {
    std::vector<double> base, dearer;
    for (const LotCost& lot : open) base.push_back(lot.*value);
    for (const LotCost& lot : confined) dearer.push_back(lot.*value);
    return ratio_of(base, dearer);
  };
  return {ratio(&LotCost::start_ms), ratio(&LotCost::cpu_ms), ratio(&LotCost::mib),
          ratio(&LotCost::charged_mib)};
}

double start_figure(const ConfinementRatios& ratios) { return ratios.start.low; }

double cost_figure(const ConfinementRatios& ratios) {
  return std::max(ratios.cpu.low, ratios.mib.low);
}

json to_json(const LotCost& lot) {
  return {{"arm", lot.confined ? "confined" : "open"},
          {"start_ms", lot.start_ms},
          {"start_cpu_ms", lot.start_cpu_ms},
          {"cpu_ms", lot.cpu_ms},
          {"mib", lot.mib},
          {"charged_mib", lot.charged_mib},
          {"attach_seconds", lot.attach_seconds}};
}

json to_json(const ConfinementRatios& ratios) {
  return {{"start", to_json(ratios.start)},
          {"cpu", to_json(ratios.cpu)},
          {"mib", to_json(ratios.mib)},
          {"charged_mib", to_json(ratios.charged_mib)}};
}

std::string confinement_table(const json& result) {
  std::string out = fmt::format(
      "Confined to open, lots of {} beside {} desktops, {} pairs\n\n"
      "| of a desktop | open, median | confined, median | ratio, median (95 %) |\n"
      "|---|---|---|---|\n",
      result["lot"].get<std::size_t>(), result["background"].get<std::size_t>(),
      result["pairs"].get<unsigned>());
  for (const auto& [name, words] : kRatios) {
    const std::string key = std::string(name) == "start" ? "start_ms"
                            : std::string(name) == "cpu" ? "cpu_ms"
                                                         : name;
    std::vector<double> open, confined;
    for (const json& lot : result["lots"])
      (lot["arm"] == "open" ? open : confined).push_back(lot[key].get<double>());
    const json& ratio = result["ratios"][name];
    out += fmt::format("| {}, {} | {:.1f} | {:.1f} | {:.3f} ({:.3f} to {:.3f}) |\n", words,
                       key.ends_with("_ms") ? "ms" : "MiB", median_of(open), median_of(confined),
                       ratio["median"].get<double>(), ratio["low95"].get<double>(),
                       ratio["high95"].get<double>());
  }
  return out;
}

}  // namespace panal::bench
