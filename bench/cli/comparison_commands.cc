#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench/cli/subcommands.h"
#include "bench/cli/words.h"
#include "bench/density/comparisons.h"
#include "bench/density/hogs.h"

namespace panal::bench {
namespace {

template <typename Options>
int compare(const Call& call, const Words<Options>& words, bool machine_settings,
            Result<void> (*how)(const Options&, const std::string&)) {
  if (const auto good = may_keep(words.json_file); !good) return not_measured(good.error());
  enter_lab(call, {words.memory, machine_settings});
  return told(how(words.options, words.json_file));
}

}  // namespace

Subcommand add_ksm(CLI::App& app) {
  const auto words = std::make_shared<Words<KsmOptions>>();
  KsmOptions& ksm = words->options;
  auto* parser =
      app.add_subcommand("ksm", "laws for ksmd's pace against each other (figures ksm.*)");
  parser->add_option("--image", ksm.image, "icewm or xfce (default)");
  parser->add_option("--count", ksm.count, "desktops (default 40)")->check(CLI::Range(1, 2000));
  parser->add_option("--window", ksm.window_seconds, "seconds after the last start (default 900)")
      ->check(CLI::Range(15, 36'000));
  parser
      ->add_option("--churn", ksm.churn_percent,
                   "percent stopped and started again at 8/15 of the window (default 10)")
      ->check(CLI::Range(0, 100));
  parser->add_option("--attached", ksm.attached_seconds,
                     "seconds until the clients leave (default 30)");
  parser->add_option("--arms", ksm.arms, "of governor, fixed, advisor, ksmtuned (default all)")
      ->delimiter(',');
  parser->add_option("--trace", ksm.trace_file,
                     "where what the governor saw is recorded (not below /tmp)");
  words->add_common(*parser);
  return {parser, [words](const Call& call) {
            if (const auto good = may_keep(words->options.trace_file); !good)
              return not_measured(good.error());
            return compare(call, *words, true, compare_ksm);
          }};
}

Subcommand add_reconnect(CLI::App& app) {
  const auto words = std::make_shared<Words<ReconnectOptions>>();
  ReconnectOptions& back = words->options;
  auto* parser =
      app.add_subcommand("reconnect", "users who come back to desktops that memory was taken from");
  parser->add_option("--image", back.image, "icewm or xfce (default)");
  parser->add_option("--profile", back.profile, "a tuning profile (default dense)");
  parser->add_option("--desktops", back.desktops, "how many")->check(CLI::Range(1, 1000));
  parser
      ->add_option("--treatments", back.treatments,
                   "dealt out in turn: spared, recorded, drawing, nothing")
      ->check(CLI::IsMember({"spared", "recorded", "drawing", "nothing"}));
  parser->add_option("--rounds", back.rounds, "measured reconnects of each");
  parser->add_option("--away", back.away_seconds, "seconds disconnected before them");
  parser->add_option("--patience", back.patience_seconds,
                     "seconds until it is small enough, at most");
  words->add_common(*parser);
  return {parser, [words](const Call& call) {
            return compare(call, *words, words->options.profile != "off", compare_reconnects);
          }};
}

Subcommand add_effects(CLI::App& app) {
  const auto words = std::make_shared<Words<EffectsOptions>>();
  EffectsOptions& guest = words->options;
  auto* parser = app.add_subcommand(
      "effects", "what each setting of recipes and of a profile's [guest] saves a desktop");
  parser->add_option("--image", guest.image, "icewm or xfce (default)")
      ->check(CLI::IsMember({"icewm", "xfce"}));
  parser->add_option("--count", guest.count, "desktops in each arm (default 6)")
      ->check(CLI::Range(1, 200));
  parser->add_option("--rounds", guest.rounds, "all arms so many times (default 2)")
      ->check(CLI::Range(1, 100));
  parser->add_option("--settings", guest.settings, "names, with commas (default all)")
      ->delimiter(',');
  parser->add_option("--rest", guest.rest_seconds, "idle seconds before it is held");
  parser->add_option("--hold", guest.hold_seconds, "seconds (default 60)");
  words->add_common(*parser);
  return {parser,
          [words](const Call& call) { return compare(call, *words, false, compare_effects); }};
}

Subcommand add_hogs(CLI::App& app) {
  const auto hogs = std::make_shared<HogOptions>();
  auto* parser = app.add_subcommand("hogs", "keys typed beside a desktop that takes all it can");
  parser->add_option("--kind", hogs->kinds, "forks, memory, dirty, inotify, ptys; default all")
      ->check(CLI::IsMember(hog_kinds()));
  parser->add_option("--pairs", hogs->pairs, "with and without, in turns (default 5)")
      ->check(CLI::Range(1, 100));
  parser->add_option("--window", hogs->window_seconds, "seconds of typing each (default 20)")
      ->check(CLI::Range(3, 600));
  return {parser, [hogs](const Call& call) -> int {
            enter_lab(call, {.machine_settings = true});
            const auto result = run_hogs(*hogs);
            if (!result) return not_measured(result.error());
            std::cout << result->dump(2) << '\n';
            return (*result)["failed"] == 0 ? kPass : kFail;
          }};
}

Subcommand add_takers(CLI::App& app) {
  const auto words = std::make_shared<Words<TakersOptions>>();
  TakersOptions& take = words->options;
  auto* parser = app.add_subcommand(
      "takers", "ways to take memory back, before and after merging, against each other");
  parser->add_flag("--synthetic", take.synthetic,
                   "processes with half of their pages alike in place of desktops");
  parser->add_option("--image", take.image, "icewm or xfce (default)");
  parser->add_option("--count", take.count, "desktops or processes (default 4)")
      ->check(CLI::Range(1, 200));
  parser->add_option("--mib", take.mib, "of each process (default 64)")->check(CLI::Range(1, 4096));
  parser->add_option("--rounds", take.rounds, "of each way and order (default 5)")
      ->check(CLI::Range(1, 100));
  parser->add_option("--settle", take.settle_seconds, "seconds for desktops (default 90)");
  parser->add_option("--ways", take.ways, "of reclaim, madvise, poke (default: what works)")
      ->delimiter(',')
      ->check(CLI::IsMember({"reclaim", "madvise", "poke"}));
  words->add_common(*parser);
  return {parser,
          [words](const Call& call) { return compare(call, *words, true, compare_takers); }};
}

}  // namespace panal::bench
