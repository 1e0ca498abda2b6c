#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench/cli/subcommands.h"
#include "bench/cli/words.h"
#include "bench/density/confinement.h"
#include "bench/density/confinement_ratios.h"
#include "bench/density/figure.h"
#include "bench/network/network.h"
#include "bench/network/node.h"
#include "bench/redteam/redteam.h"

namespace panal::bench {
Subcommand add_redteam(CLI::App& app) {
  const auto json_file = std::make_shared<std::string>();
  auto* parser = app.add_subcommand(
      "redteam", "attacks of a hostile desktop on Panal's network and on others'");
  parser->add_option("--json", *json_file, "where the result goes (not below /tmp)");
  return {parser, [json_file](const Call& call) -> int {
            if (const auto good = may_keep(*json_file); !good) return not_measured(good.error());
            enter_lab(call, {});
            return run_and_keep(call, {"netconfine", "bench/redteam"}, run_redteam, redteam_table,
                                *json_file);
          }};
}

Subcommand add_network(CLI::App& app) {
  const auto words = std::make_shared<Words<NetworkOptions>>();
  NetworkOptions& network = words->options;
  auto* parser = app.add_subcommand(
      "network", "what rules cost by each backend: packets, changes, exchanges, repairs");
  parser->add_option("--parts", network.parts, "of them (default all)")
      ->delimiter(',')
      ->check(CLI::IsMember(network_parts()));
  parser->add_option("--arms", network.arms, "kinds of rules (default all)")
      ->delimiter(',')
      ->check(CLI::IsMember(network_arms()));
  parser->add_option("--sizes", network.sizes, "numbers of desktops (default 1,100,400,1000)")
      ->delimiter(',')
      ->check(CLI::Range(1, 1000));
  parser->add_option("--rounds", network.rounds, "turns of cost (default 100)")
      ->check(CLI::Range(1, 100'000));
  parser->add_option("--cycles", network.cycles, "desktops added and removed by nftables")
      ->check(CLI::Range(1, 100'000));
  parser->add_option("--slow-cycles", network.slow_cycles, "the same where programs are started")
      ->check(CLI::Range(1, 10'000));
  parser->add_option("--swaps", network.swaps, "exchanges of all policies (default 100)")
      ->check(CLI::Range(1, 10'000));
  parser->add_option("--repairs", network.repairs, "of each kind of drift (default 5)")
      ->check(CLI::Range(1, 1000));
  words->add_common(*parser);
  return {parser, [words](const Call& call) -> int {
            if (const auto good = may_keep(words->json_file); !good)
              return not_measured(good.error());
            enter_lab(call, {words->memory, false});
            std::vector<std::size_t>& sizes = words->options.sizes;
            std::sort(sizes.begin(), sizes.end());
            return run_and_keep(
                call, {"netconfine", "bench/network"},
                [&words] { return run_network(words->options); }, network_tables, words->json_file);
          }};
}

Subcommand add_confinement(CLI::App& app) {
  const auto words = std::make_shared<Words<ConfinementOptions>>();
  ConfinementOptions& confinement = words->options;
  auto* parser = app.add_subcommand(
      "confinement", "what desktops cost with and without rules for their network, in turns");
  parser->add_option("--count", confinement.count, "desktops in all (default 400)")
      ->check(CLI::Range(1, 2000));
  parser->add_option("--lot", confinement.lot, "of them, measured in each turn (default 40)")
      ->check(CLI::Range(1, 200));
  parser->add_option("--pairs", confinement.pairs, "of turns (default 12)")
      ->check(CLI::Range(1, 1000));
  parser->add_option("--rest", confinement.rest_seconds, "seconds (default 10)")
      ->check(CLI::Range(2, 3600));
  parser->add_option("--hold", confinement.hold_seconds, "seconds (default 30)")
      ->check(CLI::Range(2, 3600));
  parser->add_option("--limit", confinement.limit_seconds,
                     "begin no pair that would end later, seconds (default: none)");
  words->add_common(*parser);
  return {parser, [words](const Call& call) -> int {
            if (const auto good = may_keep(words->json_file); !good)
              return not_measured(good.error());
            enter_lab(call, {words->memory, false, true});
            return run_and_keep(
                call, find_figure("net.start_ratio_400")->code,
                [&words] { return run_confinement(words->options); }, confinement_table,
                words->json_file);
          }};
}

}  // namespace panal::bench
