#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench/backends/backends.h"
#include "bench/cli/subcommands.h"
#include "bench/cli/words.h"
#include "bench/density/backend_desktops.h"
#include "bench/density/stored.h"
#include "bench/faults/faults.h"
#include "bench/versions/weekly.h"

namespace panal::bench {
namespace {

using nlohmann::json;

struct BackendsWords {
  BackendsOptions roots;
  BackendDesktopsOptions live;
  bool only_live = false;
  std::string json_file;
  std::string memory;
};

/// Of all backends in one result: roots without desktops, then, where `live.count` says so, living
/// ones.
int compare_backends(const Call& call, const BackendsWords& words) {
  if (const auto good = may_keep(words.json_file); !good) return not_measured(good.error());
  enter_lab(call, {words.memory, false});
  BackendDesktopsOptions live = words.live;
  live.arms = words.roots.arms;
  live.lvm_pool = words.roots.lvm_pool;
  const auto provenance = provenance_now(
      source_directory(), {"storage/compose", "bench/backends", "bench/density"}, call.words());
  if (words.only_live && live.count == 0)
    return not_measured({0, "--only-desktops wants --desktops NUMBER"});
  auto result = words.only_live ? Result<json>(json::object()) : run_backends(words.roots);
  if (!result) return not_measured(result.error());
  if (live.count > 0) {
    auto desktops = run_backend_desktops(live);
    if (!desktops) return not_measured(desktops.error());
    for (auto& [name, one] : desktops->items()) (*result)["arms"][name]["live"] = std::move(one);
  }
  if (provenance) (*result)["measured"] = to_json(*provenance);
  if (const auto kept = keep_result(*result, words.json_file); !kept)
    return not_measured(kept.error());
  if (words.only_live) {
    std::cout << result->dump(2) << '\n';
    return kPass;
  }
  std::cout << backends_table(*result);
  for (const auto& [name, arm] : (*result)["arms"].items())
    if (arm.contains("failed")) return kFail;
  return kPass;
}

struct FaultWords {
  FaultOptions faults;
  std::string json_file;
};

int count_faults(const Call& call, const FaultWords& words) {
  if (const auto good = may_keep(words.json_file); !good) return not_measured(good.error());
  enter_lab(call, {});
  const auto result = run_faults(words.faults);
  if (!result) return not_measured(result.error());
  std::cout << result->dump(2) << '\n';
  if (const auto kept = keep_result(*result, words.json_file); !kept)
    return not_measured(kept.error());
  return (*result)["lost"] == 0 ? kPass : kFail;
}

}  // namespace

Subcommand add_backends(CLI::App& app) {
  const auto words = std::make_shared<BackendsWords>();
  BackendsOptions& roots = words->roots;
  BackendDesktopsOptions& live = words->live;
  live.count = 0;
  auto* parser = app.add_subcommand(
      "backends", "what roots cost by each backend: time, disk, page cache, reading");
  parser->add_option("--arms", roots.arms, "of them (default all)")
      ->delimiter(',')
      ->check(CLI::IsMember(backend_arms()));
  parser->add_option("--image", roots.image,
                     "icewm or xfce, as scripts/test-image made it (default: a made tree)");
  parser->add_option("--count", roots.count, "roots (default 400)")->check(CLI::Range(2, 2000));
  parser->add_option("--cycles", roots.cycles, "times each is measured (default 101)")
      ->check(CLI::Range(1, 10'000));
  parser->add_option("--fill", roots.fill_seconds,
                     "seconds after which an arm adds no more roots (default 120)");
  parser->add_option("--copies", roots.copies, "roots of arms that copy the version (default 20)")
      ->check(CLI::Range(2, 2000));
  parser
      ->add_option("--copy-cycles", roots.copy_cycles,
                   "times each of those is measured (default 11)")
      ->check(CLI::Range(1, 10'000));
  parser
      ->add_option("--desktops", live.count,
                   "also so many living desktops on each, for the sum of their PSS (default none)")
      ->check(CLI::Range(1, 200));
  parser->add_option("--desktop-image", live.image, "icewm or xfce (default)");
  parser->add_flag("--only-desktops", words->only_live, "nothing else");
  parser->add_option("--lvm-pool", roots.lvm_pool, "group/pool for arm lvm");
  parser->add_option("--json", words->json_file, "where the result goes (not below /tmp)");
  parser->add_option("--memory", words->memory, "limit of the lab, e.g. 14G");
  return {parser, [words](const Call& call) { return compare_backends(call, *words); }};
}

Subcommand add_faults(CLI::App& app) {
  const auto words = std::make_shared<FaultWords>();
  FaultOptions& faults = words->faults;
  auto* parser = app.add_subcommand(
      "faults", "what is interrupted at random calls: is all there, and nothing left over?");
  parser->add_option("--points", faults.points, "of each kind (default 200)")
      ->check(CLI::Range(1, 100'000));
  parser->add_option("--seed", faults.seed, "of the random numbers (default 1)");
  parser->add_option("--kinds", faults.kinds, "of them (default all)")
      ->delimiter(',')
      ->check(CLI::IsMember(fault_kinds()));
  parser
      ->add_option("--steps", faults.steps,
                   "names of them (docs/bench.md), e.g. build,home-loop-make (default all)")
      ->delimiter(',');
  parser->add_option("--json", words->json_file, "where the result goes (not below /tmp)");
  return {parser, [words](const Call& call) { return count_faults(call, *words); }};
}

Subcommand add_versions(CLI::App& app) {
  const auto words = std::make_shared<Words<VersionsOptions>>();
  VersionsOptions& versions = words->options;
  auto* parser = app.add_subcommand(
      "versions", "disk of an image's versions with weekly updates: repository, tarballs, qcow2");
  parser->add_option("--image", versions.image,
                     "icewm (default) or xfce, as scripts/test-image made it");
  parser->add_option("--count", versions.count, "versions (default 100)")
      ->check(CLI::Range(2, 1000));
  parser
      ->add_option("--packages", versions.packages,
                   "packages that are new in each week (default 4)")
      ->check(CLI::Range(1, 1000));
  parser
      ->add_option("--tarballs", versions.tarballs,
                   "versions that are packed, the others reckoned (default 5)")
      ->check(CLI::Range(1, 1000));
  words->add_common(*parser);
  return {parser, [words](const Call& call) -> int {
            if (const auto good = may_keep(words->json_file); !good)
              return not_measured(good.error());
            enter_lab(call, {words->memory, false});
            return run_and_keep(
                call, {"storage/repo", "storage/image", "bench/versions"},
                [&words] { return run_versions(words->options); }, versions_table,
                words->json_file);
          }};
}

}  // namespace panal::bench
