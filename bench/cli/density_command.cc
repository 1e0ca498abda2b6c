#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench/cli/subcommands.h"
#include "bench/density/density.h"
#include "bench/density/figure.h"
#include "bench/density/stored.h"

namespace panal::bench {
namespace {

struct DensityWords {
  DensityOptions density;
  std::string image = density.image, profile = density.profile;
  bool by_command = false;
  unsigned hold = 600, counted = 0, last_hold = 0;
  CLI::Option* active = nullptr;
  CLI::Option* disconnected = nullptr;
  std::string json_file;
  std::string memory;
};

/// The options as the scenario wants them.
DensityOptions options_of(const DensityWords& words) {
  DensityOptions options = words.density;
  choose(options, words.image, words.profile);
  options.hold = hold_window(words.hold, words.counted);
  if (words.last_hold > 0) options.last_hold = hold_window(words.last_hold, 0);
  options.started_by_clients = !words.by_command;
  if (options.profile != "off") {
    // What design section 7 calls a mix.
    if (words.active->empty()) options.shares.active_percent = 10;
    if (words.disconnected->empty()) options.shares.disconnected_percent = 60;
  }
  return options;
}

int answer_density(const Call& call, const DensityWords& words) {
  if (const auto good = may_keep(words.json_file); !good) return not_measured(good.error());
  const DensityOptions options = options_of(words);
  enter_lab(call, {words.memory, options.profile != "off", true});
  const Figure* figure = figure_like(options);
  const auto provenance = provenance_now(
      source_directory(), figure != nullptr ? figure->code : std::vector<std::string>{"recipes"},
      call.words());
  // A tarball has no history: the run is as good without.
  if (!provenance) std::cerr << "panal-bench: " << provenance.error().message() << '\n';
  auto result = run_density(options);
  if (!result) return not_measured(result.error());
  if (provenance) (*result)["measured"] = to_json(*provenance);
  std::cout << fmt::format(
      "{} {}: {:.1f} MiB for one more desktop, first lot attached after {:.1f} s; {} hold ({})\n",
      (*result)["up"].get<std::size_t>(), options.image,
      (*result)["slope"]["marginal_mib"].get<double>(),
      (*result)["all_connected_seconds"].get<double>(), (*result)["holds"].get<std::size_t>(),
      (*result)["ended"].get<std::string>());
  if (const auto kept = keep_result(*result, words.json_file); !kept)
    return not_measured(kept.error());
  const auto& failures = (*result)["failures"];
  for (const auto& failure : failures)
    std::cerr << "panal-bench: " << failure.get<std::string>() << '\n';
  return failures.empty() ? kPass : kFail;
}

}  // namespace

Subcommand add_density(CLI::App& app) {
  const auto words = std::make_shared<DensityWords>();
  DensityOptions& density = words->density;
  auto* parser = app.add_subcommand(
      "density", "starts desktops with live clients, holds, says what they cost");
  parser->add_option("--image", words->image, "icewm (default) or xfce");
  parser->add_option("--count", density.count, "how many")->check(CLI::Range(1, 2000));
  parser->add_option("--steps", density.steps, "started in so many lots (default 5)");
  parser->add_option("--hold", words->hold, "seconds after each lot (default 600)");
  parser->add_option("--counted", words->counted,
                     "the last seconds of a hold that count (default: the half)");
  parser->add_option("--last-hold", words->last_hold,
                     "seconds of the last hold (default: like the others)");
  parser->add_option("--settle", density.settle_seconds, "seconds to settle, at most");
  parser
      ->add_option("--beyond", density.beyond,
                   "then add further lots until one does not hold, or so many are up")
      ->check(CLI::Range(1, 2000));
  parser->add_option("--beyond-lot", density.beyond_lot,
                     "how many at a time (default: an eighth of --count)");
  parser->add_option("--beyond-hold", density.beyond_hold_seconds,
                     "seconds after each of those (default 60)");
  parser->add_option("--until", density.until_seconds,
                     "add no lot beyond --count after so many seconds");
  parser->add_flag("--by-command,!--by-clients", words->by_command,
                   "start a lot by one command (default: each desktop by its client)");
  parser->add_option("--parallel-starts", density.parallel_starts, "panald's setting");
  parser->add_option("--profile", words->profile,
                     "a tuning profile (panal tune ls); off: no optimiser (default); stock: off, "
                     "with the image as Debian packages it");
  words->active = parser->add_option("--active", density.shares.active_percent,
                                     "percent that somebody types into (default: 10 with a "
                                     "profile, else 0)");
  words->disconnected = parser->add_option(
      "--disconnected", density.shares.disconnected_percent,
      "percent whose clients leave once they have settled (default: 60 with a profile, else 0)");
  for (auto* share : {words->active, words->disconnected}) share->check(CLI::Range(0, 100));
  parser->add_flag("--prewarm", density.prewarm, "with pre-warming");
  parser->add_flag("--keep", density.keep, "leave it up until SIGINT");
  parser->add_option("--json", words->json_file, "where the result goes (not below /tmp)");
  parser->add_option("--memory", words->memory, "limit of the lab, e.g. 14G");
  return {parser, [words](const Call& call) { return answer_density(call, *words); }};
}

}  // namespace panal::bench
