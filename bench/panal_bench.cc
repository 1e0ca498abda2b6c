// panal-bench: measures Panal on this machine, in a lab of its own.

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/backends/backends.h"
#include "bench/density/backend_desktops.h"
#include "bench/density/comparisons.h"
#include "bench/density/confinement.h"
#include "bench/density/confinement_ratios.h"
#include "bench/density/density.h"
#include "bench/density/freshness.h"
#include "bench/density/hogs.h"
#include "bench/density/measure.h"
#include "bench/density/report.h"
#include "bench/density/stored.h"
#include "bench/faults/faults.h"
#include "bench/network/network.h"
#include "bench/network/node.h"
#include "bench/redteam/redteam.h"
#include "bench/versions/weekly.h"

namespace {

using nlohmann::json;
using namespace panal::bench;

enum Exit { kPass = 0, kFail = 1, kNotMeasured = 2 };

const char* source() {
  const char* set = std::getenv("PANAL_SOURCE_DIR");
  return set != nullptr ? set : PANAL_SOURCE_DIR;
}

int not_measured(const panal::Error& error) {
  std::cerr << "panal-bench: " << error.message() << '\n';
  return kNotMeasured;
}

int told(const panal::Result<void>& done) { return done ? kPass : not_measured(done.error()); }

bool wants_many_tasks(const std::string& figure) {
  return figure.starts_with("density.") || figure.starts_with("panald.") ||
         figure.starts_with("net.start_ratio") || figure.starts_with("net.cost_ratio");
}

/// A lab has room for some 400 desktops' processes and threads; this is enough for 1,500, all that
/// may run beside them, and more than a kernel without a tuning profile lets anybody have.
constexpr const char* kManyTasks = "131072";

struct LabNeeds {
  std::string memory = {};  ///< as scripts/lab has it; empty: its default
  bool machine_settings = false;
  bool many_tasks = false;
};

/// Outside of a lab: becomes `scripts/lab ... this command`. Returns only when that fails.
void enter_lab(char** argv, const LabNeeds& needs) {
  if (std::getenv("PANAL_LAB") != nullptr) return;
  const std::string lab = std::string(source()) + "/scripts/lab";
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  std::vector<std::string> words = {lab};
  if (needs.machine_settings) words.emplace_back("--machine-settings");
  if (!needs.memory.empty()) words.insert(words.end(), {"--memory", needs.memory});
  if (needs.many_tasks) words.insert(words.end(), {"--tasks", kManyTasks});
  words.push_back(self);
  for (char** word = argv + 1; *word != nullptr; ++word) words.emplace_back(*word);
  std::vector<char*> pointers;
  for (auto& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  ::execv(lab.c_str(), pointers.data());
  std::cerr << "panal-bench: cannot run " << lab << ": " << ::strerror(errno) << '\n';
  std::exit(kNotMeasured);
}

std::string words_of(int argc, char** argv) {
  std::string out = "panal-bench";
  for (int i = 1; i < argc; ++i) out += std::string(" ") + argv[i];
  return out;
}

std::vector<std::string> changed_now(const Figure& figure, Stored stored, const Trees& now) {
  note_parts(source(), figure.code, stored);
  return changed_code(figure, stored, now);
}

int list_figures(bool as_json) {
  // A tarball has no history: then nothing is said of what has changed.
  const auto now = current_trees(source(), all_code());
  auto all = json::array();
  for (const auto& figure : figures()) {
    json one = {{"figure", figure.name},
                {"unit", figure.unit},
                {"target", target_text(figure)},
                {"meaning", figure.meaning},
                {"last", nullptr}};
    std::string words = "not measured";
    if (auto stored = load_stored(source(), figure.name)) {
      const char* verdict = passes(figure, stored->value) ? "pass" : "fail";
      words = fmt::format("{} {} {}", number_text(stored->value), verdict, stored->provenance.date);
      one["last"] = {{"value", stored->value},
                     {"verdict", verdict},
                     {"measured", to_json(stored->provenance)},
                     {"changed", nullptr}};
      if (now) {
        const auto changed = changed_now(figure, *stored, *now);
        one["last"]["changed"] = changed;
        if (!changed.empty()) words += fmt::format(", changed since: {}", fmt::join(changed, " "));
      }
    }
    if (!as_json)
      fmt::print("{:32} {:>8} {:6} {}\n", figure.name, target_text(figure), figure.unit, words);
    all.push_back(std::move(one));
  }
  if (as_json) std::cout << all.dump(2) << '\n';
  return kPass;
}

int print_verdict(const Figure& figure, double value) {
  std::cout << verdict_line(figure, value) << std::endl;
  return passes(figure, value) ? kPass : kFail;
}

int stored_figure(const Figure& figure) {
  auto stored = load_stored(source(), figure.name);
  if (!stored) return not_measured(stored.error());
  note_parts(source(), figure.code, *stored);
  const auto now = current_trees(source(), figure.code);
  if (!now) return not_measured(now.error());
  const auto changed = changed_since(*stored, *now);
  if (!changed.empty()) {
    std::string names;
    for (const auto& path : changed) names += " " + path;
    std::cerr << "panal-bench: the code it measures has changed since " << stored->provenance.date
              << ":" << names << "; measure it again: panal-bench figure " << figure.name
              << " --store\n"
              << fmt::format("{} {} {} {} fail\n", figure.name, number_text(stored->value),
                             figure.unit, target_text(figure));
    return kFail;
  }
  std::cout << "measured " << stored->provenance.date << ", load average before "
            << stored->provenance.load_before << '\n';
  return print_verdict(figure, stored->value);
}

int measure_figure(const Figure& figure, bool store, const std::string& command,
                   const std::string& memory, const MeasureOptions& options) {
  // Which other figures come along is known in the end, and what was measured before it.
  const auto provenance = provenance_now(source(), all_code(), command);
  if (!provenance) return not_measured(provenance.error());
  const auto measured =
      figure.in_lab ? measure(figure.name, options) : measure_up_first(source(), memory);
  if (!measured) return not_measured(measured.error());
  const json details = json::parse(measured->details, nullptr, false);
  for (const auto& [key, value] : details.items())
    if (!value.is_structured()) std::cout << key << ": " << value.dump() << '\n';
  auto all = measured->also;
  all.emplace_back(figure.name, measured->value);
  for (const auto& [name, value] : all) {
    const Figure* one = find_figure(name);
    if (one == nullptr) continue;
    if (store) {
      const Stored stored{name, value, of_code(*provenance, one->code), measured->details};
      if (const auto saved = save_stored(source(), *one, stored); !saved)
        return not_measured(saved.error());
    }
    if (one != &figure) std::cout << "beside: " << verdict_line(*one, value) << '\n';
  }
  return print_verdict(figure, measured->value);
}

/// Of all backends in one result: roots without desktops, then, where `live.count` says so, living
/// ones.
int compare_backends(const BackendsOptions& roots, const BackendDesktopsOptions& live,
                     bool only_live, const std::string& command, const std::string& file) {
  const auto provenance =
      provenance_now(source(), {"storage/compose", "bench/backends", "bench/density"}, command);
  if (only_live && live.count == 0)
    return not_measured({0, "--only-desktops wants --desktops NUMBER"});
  auto result = only_live ? panal::Result<json>(json::object()) : run_backends(roots);
  if (!result) return not_measured(result.error());
  if (live.count > 0) {
    auto desktops = run_backend_desktops(live);
    if (!desktops) return not_measured(desktops.error());
    for (auto& [name, one] : desktops->items()) (*result)["arms"][name]["live"] = std::move(one);
  }
  if (provenance) (*result)["measured"] = to_json(*provenance);
  if (!file.empty())
    if (const auto written = write_file(file, result->dump(2) + "\n"); !written)
      return not_measured(written.error());
  if (only_live) {
    std::cout << result->dump(2) << '\n';
    return kPass;
  }
  std::cout << backends_table(*result);
  for (const auto& [name, arm] : (*result)["arms"].items())
    if (arm.contains("failed")) return kFail;
  return kPass;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Measures Panal on this machine, in a lab of its own"};
  app.footer("Exit codes of figure: 0 pass, 1 fail, 2 it could not be measured.");
  app.require_subcommand(1);
  std::string memory;

  DensityOptions density;
  bool by_command = false;
  std::string json_file;
  auto* density_command = app.add_subcommand(
      "density", "starts desktops with live clients, holds, says what they cost");
  std::string density_image = density.image, density_profile = density.profile;
  density_command->add_option("--image", density_image, "icewm (default) or xfce");
  density_command->add_option("--count", density.count, "how many")->check(CLI::Range(1, 2000));
  density_command->add_option("--steps", density.steps, "started in so many lots (default 5)");
  unsigned hold = 600, counted = 0, last_hold = 0;
  density_command->add_option("--hold", hold, "seconds after each lot (default 600)");
  density_command->add_option("--counted", counted,
                              "the last seconds of a hold that count (default: the half)");
  density_command->add_option("--last-hold", last_hold,
                              "seconds of the last hold (default: like the others)");
  density_command->add_option("--settle", density.settle_seconds, "seconds to settle, at most");
  density_command
      ->add_option("--beyond", density.beyond,
                   "then add further lots until one does not hold, or so many are up")
      ->check(CLI::Range(1, 2000));
  density_command->add_option("--beyond-lot", density.beyond_lot,
                              "how many at a time (default: an eighth of --count)");
  density_command->add_option("--beyond-hold", density.beyond_hold_seconds,
                              "seconds after each of those (default 60)");
  density_command->add_option("--until", density.until_seconds,
                              "add no lot beyond --count after so many seconds");
  density_command->add_flag("--by-command,!--by-clients", by_command,
                            "start a lot by one command (default: each desktop by its client)");
  density_command->add_option("--parallel-starts", density.parallel_starts, "panald's setting");
  density_command->add_option("--profile", density_profile,
                              "a tuning profile (panal tune ls); off: no optimiser (default); "
                              "stock: off, with the image as Debian packages it");
  auto* active = density_command->add_option("--active", density.shares.active_percent,
                                             "percent that somebody types into (default: 10 with "
                                             "a profile, else 0)");
  auto* disconnected = density_command->add_option(
      "--disconnected", density.shares.disconnected_percent,
      "percent whose clients leave once they have settled (default: 60 with a profile, else 0)");
  for (auto* share : {active, disconnected}) share->check(CLI::Range(0, 100));
  density_command->add_flag("--prewarm", density.prewarm, "with pre-warming");
  density_command->add_flag("--keep", density.keep, "leave it up until SIGINT");
  density_command->add_option("--json", json_file, "where the result goes (not below /tmp)");
  density_command->add_option("--memory", memory, "limit of the lab, e.g. 14G");

  KsmOptions ksm;
  std::string ksm_json;
  auto* ksm_command =
      app.add_subcommand("ksm", "laws for ksmd's pace against each other (figures ksm.*)");
  ksm_command->add_option("--image", ksm.image, "icewm or xfce (default)");
  ksm_command->add_option("--count", ksm.count, "desktops (default 40)")
      ->check(CLI::Range(1, 2000));
  ksm_command
      ->add_option("--window", ksm.window_seconds, "seconds after the last start (default 900)")
      ->check(CLI::Range(15, 36'000));
  ksm_command
      ->add_option("--churn", ksm.churn_percent,
                   "percent stopped and started again at 8/15 of the window (default 10)")
      ->check(CLI::Range(0, 100));
  ksm_command->add_option("--attached", ksm.attached_seconds,
                          "seconds until the clients leave (default 30)");
  ksm_command->add_option("--arms", ksm.arms, "of governor, fixed, advisor, ksmtuned (default all)")
      ->delimiter(',');
  ksm_command->add_option("--trace", ksm.trace_file,
                          "where what the governor saw is recorded (not below /tmp)");
  ksm_command->add_option("--json", ksm_json, "where the result goes (not below /tmp)");
  ksm_command->add_option("--memory", memory, "limit of the lab, e.g. 14G");
  ReconnectOptions back;
  auto* reconnect_command =
      app.add_subcommand("reconnect", "users who come back to desktops that memory was taken from");
  reconnect_command->add_option("--image", back.image, "icewm or xfce (default)");
  reconnect_command->add_option("--profile", back.profile, "a tuning profile (default dense)");
  reconnect_command->add_option("--desktops", back.desktops, "how many")
      ->check(CLI::Range(1, 1000));
  reconnect_command
      ->add_option("--treatments", back.treatments,
                   "dealt out in turn: spared, recorded, drawing, nothing")
      ->check(CLI::IsMember({"spared", "recorded", "drawing", "nothing"}));
  reconnect_command->add_option("--rounds", back.rounds, "measured reconnects of each");
  reconnect_command->add_option("--away", back.away_seconds, "seconds disconnected before them");
  reconnect_command->add_option("--patience", back.patience_seconds,
                                "seconds until it is small enough, at most");
  reconnect_command->add_option("--json", json_file, "where the result goes (not below /tmp)");
  reconnect_command->add_option("--memory", memory, "limit of the lab, e.g. 14G");

  EffectsOptions guest;
  auto* effects_command = app.add_subcommand(
      "effects", "what each setting of recipes and of a profile's [guest] saves a desktop");
  effects_command->add_option("--image", guest.image, "icewm or xfce (default)")
      ->check(CLI::IsMember({"icewm", "xfce"}));
  effects_command->add_option("--count", guest.count, "desktops in each arm (default 6)")
      ->check(CLI::Range(1, 200));
  effects_command->add_option("--rounds", guest.rounds, "all arms so many times (default 2)")
      ->check(CLI::Range(1, 100));
  effects_command->add_option("--settings", guest.settings, "names, with commas (default all)")
      ->delimiter(',');
  effects_command->add_option("--rest", guest.rest_seconds, "idle seconds before it is held");
  effects_command->add_option("--hold", guest.hold_seconds, "seconds (default 60)");
  effects_command->add_option("--json", json_file, "where the result goes (not below /tmp)");
  effects_command->add_option("--memory", memory, "limit of the lab, e.g. 14G");

  std::string name;
  bool list = false, stored = false, store = false, as_json = false;
  auto* figure_command = app.add_subcommand("figure", "measures one figure of the design");
  figure_command->add_option("NAME", name);
  figure_command->add_flag("--list", list, "all figures, their targets and last results");
  figure_command->add_flag("--json", as_json, "with --list");
  figure_command->add_flag("--stored", stored, "answer from the last stored run");
  figure_command->add_flag("--store", store, "keep the result in bench/results");
  figure_command->add_option("--memory", memory, "limit of the lab, e.g. 14G");
  MeasureOptions measuring;
  figure_command->add_option("--beyond-hold", measuring.beyond_hold_seconds,
                             "mix figures: seconds after each lot beyond the target (default 180)");
  figure_command->add_option("--until", measuring.until_seconds,
                             "mix figures: add no lot beyond the target after so many seconds "
                             "(default 7800)");

  HogOptions hogs;
  auto* hogs_command =
      app.add_subcommand("hogs", "keys typed beside a desktop that takes all it can");
  hogs_command->add_option("--kind", hogs.kinds, "forks, memory, dirty, inotify, ptys; default all")
      ->check(CLI::IsMember(hog_kinds()));
  hogs_command->add_option("--pairs", hogs.pairs, "with and without, in turns (default 5)")
      ->check(CLI::Range(1, 100));
  hogs_command->add_option("--window", hogs.window_seconds, "seconds of typing each (default 20)")
      ->check(CLI::Range(3, 600));

  TakersOptions take;
  auto* takers_command = app.add_subcommand(
      "takers", "ways to take memory back, before and after merging, against each other");
  takers_command->add_flag("--synthetic", take.synthetic,
                           "processes with half of their pages alike in place of desktops");
  takers_command->add_option("--image", take.image, "icewm or xfce (default)");
  takers_command->add_option("--count", take.count, "desktops or processes (default 4)")
      ->check(CLI::Range(1, 200));
  takers_command->add_option("--mib", take.mib, "of each process (default 64)")
      ->check(CLI::Range(1, 4096));
  takers_command->add_option("--rounds", take.rounds, "of each way and order (default 5)")
      ->check(CLI::Range(1, 100));
  takers_command->add_option("--settle", take.settle_seconds, "seconds for desktops (default 90)");
  takers_command->add_option("--ways", take.ways, "of reclaim, madvise, poke (default: what works)")
      ->delimiter(',')
      ->check(CLI::IsMember({"reclaim", "madvise", "poke"}));
  takers_command->add_option("--json", json_file, "where the result goes (not below /tmp)");
  takers_command->add_option("--memory", memory, "limit of the lab, e.g. 14G");

  BackendsOptions backends;
  auto* backends_command = app.add_subcommand(
      "backends", "what roots cost by each backend: time, disk, page cache, reading");
  backends_command->add_option("--arms", backends.arms, "of them (default all)")
      ->delimiter(',')
      ->check(CLI::IsMember(backend_arms()));
  backends_command->add_option(
      "--image", backends.image,
      "icewm or xfce, as scripts/test-image made it (default: a made tree)");
  backends_command->add_option("--count", backends.count, "roots (default 400)")
      ->check(CLI::Range(2, 2000));
  backends_command->add_option("--cycles", backends.cycles, "times each is measured (default 101)")
      ->check(CLI::Range(1, 10'000));
  backends_command->add_option("--fill", backends.fill_seconds,
                               "seconds after which an arm adds no more roots (default 120)");
  backends_command
      ->add_option("--copies", backends.copies, "roots of arms that copy the version (default 20)")
      ->check(CLI::Range(2, 2000));
  backends_command
      ->add_option("--copy-cycles", backends.copy_cycles,
                   "times each of those is measured (default 11)")
      ->check(CLI::Range(1, 10'000));
  BackendDesktopsOptions live;
  bool only_live = false;
  live.count = 0;
  backends_command
      ->add_option("--desktops", live.count,
                   "also so many living desktops on each, for the sum of their PSS (default none)")
      ->check(CLI::Range(1, 200));
  backends_command->add_option("--desktop-image", live.image, "icewm or xfce (default)");
  backends_command->add_flag("--only-desktops", only_live, "nothing else");
  backends_command->add_option("--lvm-pool", backends.lvm_pool, "group/pool for arm lvm");
  backends_command->add_option("--json", json_file, "where the result goes (not below /tmp)");
  backends_command->add_option("--memory", memory, "limit of the lab, e.g. 14G");

  FaultOptions faults;
  auto* faults_command = app.add_subcommand(
      "faults", "what is interrupted at random calls: is all there, and nothing left over?");
  faults_command->add_option("--points", faults.points, "of each kind (default 200)")
      ->check(CLI::Range(1, 100'000));
  faults_command->add_option("--seed", faults.seed, "of the random numbers (default 1)");
  faults_command->add_option("--kinds", faults.kinds, "of them (default all)")
      ->delimiter(',')
      ->check(CLI::IsMember(fault_kinds()));
  faults_command
      ->add_option("--steps", faults.steps,
                   "names of them (docs/bench.md), e.g. build,home-loop-make (default all)")
      ->delimiter(',');
  faults_command->add_option("--json", json_file, "where the result goes (not below /tmp)");

  auto* redteam_command = app.add_subcommand(
      "redteam", "attacks of a hostile desktop on Panal's network and on others'");
  redteam_command->add_option("--json", json_file, "where the result goes (not below /tmp)");

  NetworkOptions network;
  auto* network_command = app.add_subcommand(
      "network", "what rules cost by each backend: packets, changes, exchanges, repairs");
  network_command->add_option("--parts", network.parts, "of them (default all)")
      ->delimiter(',')
      ->check(CLI::IsMember(network_parts()));
  network_command->add_option("--arms", network.arms, "kinds of rules (default all)")
      ->delimiter(',')
      ->check(CLI::IsMember(network_arms()));
  network_command
      ->add_option("--sizes", network.sizes, "numbers of desktops (default 1,100,400,1000)")
      ->delimiter(',')
      ->check(CLI::Range(1, 1000));
  network_command->add_option("--rounds", network.rounds, "turns of cost (default 100)")
      ->check(CLI::Range(1, 100'000));
  network_command->add_option("--cycles", network.cycles, "desktops added and removed by nftables")
      ->check(CLI::Range(1, 100'000));
  network_command
      ->add_option("--slow-cycles", network.slow_cycles, "the same where programs are started")
      ->check(CLI::Range(1, 10'000));
  network_command->add_option("--swaps", network.swaps, "exchanges of all policies (default 100)")
      ->check(CLI::Range(1, 10'000));
  network_command->add_option("--repairs", network.repairs, "of each kind of drift (default 5)")
      ->check(CLI::Range(1, 1000));
  network_command->add_option("--json", json_file, "where the result goes (not below /tmp)");
  network_command->add_option("--memory", memory, "limit of the lab, e.g. 4G");

  ConfinementOptions confinement;
  auto* confinement_command = app.add_subcommand(
      "confinement", "what desktops cost with and without rules for their network, in turns");
  confinement_command->add_option("--count", confinement.count, "desktops in all (default 400)")
      ->check(CLI::Range(1, 2000));
  confinement_command
      ->add_option("--lot", confinement.lot, "of them, measured in each turn (default 40)")
      ->check(CLI::Range(1, 200));
  confinement_command->add_option("--pairs", confinement.pairs, "of turns (default 12)")
      ->check(CLI::Range(1, 1000));
  confinement_command->add_option("--rest", confinement.rest_seconds, "seconds (default 10)")
      ->check(CLI::Range(2, 3600));
  confinement_command->add_option("--hold", confinement.hold_seconds, "seconds (default 30)")
      ->check(CLI::Range(2, 3600));
  confinement_command->add_option("--limit", confinement.limit_seconds,
                                  "begin no pair that would end later, seconds (default: none)");
  confinement_command->add_option("--json", json_file, "where the result goes (not below /tmp)");
  confinement_command->add_option("--memory", memory, "limit of the lab, e.g. 14G");

  VersionsOptions versions;
  auto* versions_command = app.add_subcommand(
      "versions", "disk of an image's versions with weekly updates: repository, tarballs, qcow2");
  versions_command->add_option("--image", versions.image,
                               "icewm (default) or xfce, as scripts/test-image made it");
  versions_command->add_option("--count", versions.count, "versions (default 100)")
      ->check(CLI::Range(2, 1000));
  versions_command
      ->add_option("--packages", versions.packages,
                   "packages that are new in each week (default 4)")
      ->check(CLI::Range(1, 1000));
  versions_command
      ->add_option("--tarballs", versions.tarballs,
                   "versions that are packed, the others reckoned (default 5)")
      ->check(CLI::Range(1, 1000));
  versions_command->add_option("--json", json_file, "where the result goes (not below /tmp)");
  versions_command->add_option("--memory", memory, "limit of the lab, e.g. 14G");

  std::string report_file;
  auto* report_command = app.add_subcommand("report", "writes docs/results.md from stored results");
  report_command->add_option("FILE", report_file, "default docs/results.md; - for stdout");
  CLI11_PARSE(app, argc, argv);
  ::signal(SIGPIPE, SIG_IGN);

  if (report_command->parsed()) {
    const std::string text = report(
        [](const std::string& figure) -> std::optional<Stored> {
          auto found = load_stored(source(), figure);
          if (!found) return std::nullopt;
          return std::move(*found);
        },
        [](const std::string& file) {
          return ::access((std::string(source()) + "/docs/plots/" + file).c_str(), R_OK) == 0;
        },
        [now = current_trees(source(), all_code())](const Figure& figure, const Stored& one) {
          return now && !changed_now(figure, one, *now).empty();
        });
    if (report_file == "-") {
      std::cout << text;
      return 0;
    }
    if (report_file.empty()) report_file = std::string(source()) + "/docs/results.md";
    const auto written = write_file(report_file, text);
    return written ? 0 : not_measured(written.error());
  }
  if (std::getenv("PANAL_LAB") == nullptr)
    for (const std::string* file : {&json_file, &ksm_json, &ksm.trace_file})
      if (const auto good = check_result_file(*file); !good)
        return not_measured({0, good.error().context});
  if (hogs_command->parsed()) {
    enter_lab(argv, {.machine_settings = true});
    const auto result = run_hogs(hogs);
    if (!result) return not_measured(result.error());
    std::cout << result->dump(2) << '\n';
    return (*result)["failed"] == 0 ? kPass : kFail;
  }
  if (figure_command->parsed()) {
    if (list) return list_figures(as_json);
    const Figure* figure = find_figure(name);
    if (figure == nullptr)
      return not_measured(
          {0, "there is no figure \"" + name + "\"; see panal-bench figure --list"});
    if (stored) return stored_figure(*figure);
    if (store) {
      if (const auto fresh = check_fresh(source(), build_directory(), measured_programs()); !fresh)
        return not_measured({0, fresh.error().context});
    }
    if (figure->in_lab)
      enter_lab(argv, {memory, figure->machine_settings, wants_many_tasks(figure->name)});
    return measure_figure(*figure, store, words_of(argc, argv), memory, measuring);
  }

  if (ksm_command->parsed()) {
    enter_lab(argv, {memory, true});
    return told(compare_ksm(ksm, ksm_json));
  }

  if (effects_command->parsed()) {
    enter_lab(argv, {memory, false});
    return told(compare_effects(guest, json_file));
  }
  if (takers_command->parsed()) {
    enter_lab(argv, {memory, true});
    return told(compare_takers(take, json_file));
  }
  if (backends_command->parsed()) {
    enter_lab(argv, {memory, false});
    live.arms = backends.arms;
    live.lvm_pool = backends.lvm_pool;
    return compare_backends(backends, live, only_live, words_of(argc, argv), json_file);
  }
  if (versions_command->parsed()) {
    enter_lab(argv, {memory, false});
    auto provenance = provenance_now(source(), {"storage/repo", "storage/image", "bench/versions"},
                                     words_of(argc, argv));
    auto result = run_versions(versions);
    if (!result) return not_measured(result.error());
    if (provenance) (*result)["measured"] = to_json(*provenance);
    std::cout << versions_table(*result);
    return json_file.empty() ? kPass : told(write_file(json_file, result->dump(2) + "\n"));
  }
  if (faults_command->parsed()) {
    enter_lab(argv, {});
    const auto result = run_faults(faults);
    if (!result) return not_measured(result.error());
    std::cout << result->dump(2) << '\n';
    if (!json_file.empty())
      if (const auto written = write_file(json_file, result->dump(2) + "\n"); !written)
        return not_measured(written.error());
    return (*result)["lost"] == 0 ? kPass : kFail;
  }
  if (redteam_command->parsed()) {
    enter_lab(argv, {});
    auto provenance =
        provenance_now(source(), {"netconfine", "bench/redteam"}, words_of(argc, argv));
    auto result = run_redteam();
    if (!result) return not_measured(result.error());
    if (provenance) (*result)["measured"] = to_json(*provenance);
    std::cout << redteam_table(*result);
    return json_file.empty() ? kPass : told(write_file(json_file, result->dump(2) + "\n"));
  }
  if (network_command->parsed()) {
    enter_lab(argv, {memory, false});
    std::sort(network.sizes.begin(), network.sizes.end());
    auto provenance =
        provenance_now(source(), {"netconfine", "bench/network"}, words_of(argc, argv));
    auto result = run_network(network);
    if (!result) return not_measured(result.error());
    if (provenance) (*result)["measured"] = to_json(*provenance);
    std::cout << network_tables(*result);
    return json_file.empty() ? kPass : told(write_file(json_file, result->dump(2) + "\n"));
  }
  if (confinement_command->parsed()) {
    enter_lab(argv, {memory, false, true});
    auto provenance =
        provenance_now(source(), find_figure("net.start_ratio_400")->code, words_of(argc, argv));
    auto result = run_confinement(confinement);
    if (!result) return not_measured(result.error());
    if (provenance) (*result)["measured"] = to_json(*provenance);
    std::cout << confinement_table(*result);
    return json_file.empty() ? kPass : told(write_file(json_file, result->dump(2) + "\n"));
  }
  if (reconnect_command->parsed()) {
    enter_lab(argv, {memory, back.profile != "off"});
    return told(compare_reconnects(back, json_file));
  }
  choose(density, density_image, density_profile);
  enter_lab(argv, {memory, density.profile != "off", true});
  density.hold = hold_window(hold, counted);
  if (last_hold > 0) density.last_hold = hold_window(last_hold, 0);
  density.started_by_clients = !by_command;
  if (density.profile != "off") {
    // What design section 7 calls a mix.
    if (active->empty()) density.shares.active_percent = 10;
    if (disconnected->empty()) density.shares.disconnected_percent = 60;
  }
  const Figure* like = figure_like(density);
  auto provenance =
      provenance_now(source(), like != nullptr ? like->code : std::vector<std::string>{"recipes"},
                     words_of(argc, argv));
  // A tarball has no history: the run is as good without.
  if (!provenance) std::cerr << "panal-bench: " << provenance.error().message() << '\n';
  auto result = run_density(density);
  if (!result) return not_measured(result.error());
  if (provenance) (*result)["measured"] = to_json(*provenance);
  std::cout << fmt::format(
      "{} {}: {:.1f} MiB for one more desktop, first lot attached after {:.1f} s; {} hold ({})\n",
      (*result)["up"].get<std::size_t>(), density.image,
      (*result)["slope"]["marginal_mib"].get<double>(),
      (*result)["all_connected_seconds"].get<double>(), (*result)["holds"].get<std::size_t>(),
      (*result)["ended"].get<std::string>());
  if (!json_file.empty())
    if (const auto written = write_file(json_file, result->dump(2) + "\n"); !written)
      return not_measured(written.error());
  const auto& failures = (*result)["failures"];
  for (const auto& failure : failures)
    std::cerr << "panal-bench: " << failure.get<std::string>() << '\n';
  return failures.empty() ? kPass : kFail;
}
