#include "bench/density/takers.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "bench/density/say.h"
#include "bench/density/takers_cell.h"
#include "bench/density/takers_subject.h"
#include "bench/density/units.h"
#include "runtime/optimiser/taker_choice.h"

namespace panal::bench {
namespace {

using nlohmann::json;

json to_json(const TakersCell& cell) {
  return {{"way", cell.way},
          {"order", to_string(cell.order)},
          {"cost_before_mib", cell.cost_before / kMib},
          {"cost_after_mib", cell.cost_after / kMib},
          {"cost_touched_mib", cell.cost_touched / kMib},
          {"yield_mib", cell.yield / kMib},
          {"smaps_out_mib", cell.smaps_out / kMib},
          {"zram_mib", cell.zram / kMib},
          {"merged_mib", cell.merged / kMib},
          {"take_cpu_ms", cell.take_cpu_ms},
          {"ksmd_cpu_ms", cell.ksmd_cpu_ms},
          {"refaulted_pages", cell.refaulted_pages},
          {"touch_ms", cell.touch_ms},
          {"mib_per_cpu_ms", cell.mib_per_cpu_ms()}};
}

json to_json(const TakersMedian& one) {
  json out = to_json(one.median);
  out["rounds"] = one.rounds;
  out["mib_per_cpu_ms"] = one.median_mib_per_cpu_ms;
  out["mib_per_cpu_ms_least"] = one.least_mib_per_cpu_ms;
  out["mib_per_cpu_ms_most"] = one.most_mib_per_cpu_ms;
  return out;
}

/// What works here, of what was asked for; `out`: each with what its trial saw.
Result<std::vector<std::string>> offered_ways(const TakersOptions& options, const Tree& tree,
                                              json& out) {
  const char* lab = std::getenv("PANAL_LAB_CGROUP");
  if (lab == nullptr) return fail(EINVAL, "this wants a lab (scripts/lab)");
  PANAL_ASSIGN(auto root, kernel::CgroupRoot::open(tree));
  optimiser::KernelTrials trials(tree, std::move(root), std::string(lab) + "/trial");
  std::vector<std::string> ways;
  for (const std::string_view way : optimiser::kTakerWays) {
    const auto wanted = std::find(options.ways.begin(), options.ways.end(), way);
    if (!options.ways.empty() && wanted == options.ways.end()) continue;
    const optimiser::TakerTrial trial = trials.run(way);
    out[std::string(way)] = trial.why;
    if (trial.good()) ways.emplace_back(way);
  }
  if (ways.empty()) return fail(ENOTSUP, "no way to take memory back works here: " + out.dump());
  return ways;
}

struct Turn {
  std::string way;
  TakersOrder order;
};

Result<std::vector<TakersCell>> run_rounds(const TakersOptions& options, const TakersBench& bench,
                                           const std::vector<std::string>& ways) {
  std::vector<Turn> turns;
  for (const TakersOrder order : kTakersOrders)
    for (const std::string& way : ways) turns.push_back({way, order});
  std::vector<TakersCell> cells;
  for (unsigned round = 0; round < options.rounds; ++round) {
    // Each round begins with another one: what drifts does not always meet the same.
    std::rotate(turns.begin(), turns.begin() + (round > 0 ? 1 : 0), turns.end());
    for (const Turn& turn : turns) {
      PANAL_ASSIGN(const TakersCell cell, bench.run(turn.way, turn.order));
      say("round {}: {:8} {:12} {:.0f} -> {:.0f} MiB, {:.2f} MiB a CPU ms, {:.0f} merged",
          round + 1, turn.way, to_string(turn.order), cell.cost_before / kMib,
          cell.cost_after / kMib, cell.mib_per_cpu_ms(), cell.merged / kMib);
      cells.push_back(cell);
    }
  }
  return cells;
}

}  // namespace

Result<json> run_takers(const TakersOptions& options) {
  PANAL_ASSIGN(const auto tree, Tree::open_system());
  PANAL_ASSIGN(const auto subject,
               options.synthetic
                   ? make_synthetic_subject(options.count, options.mib)
                   : make_desktops_subject(options.image, options.count, options.settle_seconds));
  PANAL_ASSIGN(const TakersBench bench, TakersBench::make(tree, *subject));
  json offered = json::object();
  PANAL_ASSIGN(const auto ways, offered_ways(options, tree, offered));
  PANAL_ASSIGN(const auto cells, run_rounds(options, bench, ways));
  const auto medians = takers_medians(cells);
  utsname system{};
  ::uname(&system);
  json out = {{"subject", options.synthetic ? "synthetic" : options.image},
              {"count", options.count},
              {"rounds", options.rounds},
              {"kernel", system.release},
              {"swap", "zram lzo-rle"},
              {"ways", std::move(offered)},
              {"cells", json::array()},
              {"medians", json::array()},
              {"merge_first", json::object()}};
  if (options.synthetic) out["mib"] = options.mib;
  for (const TakersCell& cell : cells) out["cells"].push_back(to_json(cell));
  for (const TakersMedian& one : medians) out["medians"].push_back(to_json(one));
  for (const std::string& way : ways)
    if (const auto pays = merge_first_pays(medians, way)) out["merge_first"][way] = *pays;
  return out;
}

std::string takers_table(const json& result) {
  std::string out =
      "| way | order | MiB before | after | out (smaps) | in zram | merged | MiB per CPU ms | CPU "
      "ms | ksmd ms | refaults | touched again: ms | MiB |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const json& one : result.value("medians", json::array())) {
    const auto number = [&one](const char* key) { return one.value(key, 0.0); };
    out += fmt::format(
        "| {} | {} | {:.0f} | {:.0f} | {:.0f} | {:.0f} | {:.0f} | {:.2f} ({:.2f}-{:.2f}) | {:.0f} "
        "| "
        "{:.0f} | {:.0f} | {:.0f} | {:.0f} |\n",
        one.value("way", ""), one.value("order", ""), number("cost_before_mib"),
        number("cost_after_mib"), number("smaps_out_mib"), number("zram_mib"), number("merged_mib"),
        number("mib_per_cpu_ms"), number("mib_per_cpu_ms_least"), number("mib_per_cpu_ms_most"),
        number("take_cpu_ms"), number("ksmd_cpu_ms"), number("refaulted_pages"), number("touch_ms"),
        number("cost_touched_mib"));
  }
  return out;
}

}  // namespace panal::bench
