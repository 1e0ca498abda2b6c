#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "bench/cli/subcommands.h"
#include "bench/density/figure.h"
#include "bench/density/freshness.h"
#include "bench/density/measure.h"
#include "bench/density/report.h"
#include "bench/density/stored.h"

namespace panal::bench {
namespace {

struct FigureWords {
  std::string name;
  bool list = false, stored = false, store = false, as_json = false;
  std::string memory;
  MeasureOptions measuring;
};

bool wants_many_tasks(const std::string& figure) {
  return figure.starts_with("density.") || figure.starts_with("panald.") ||
         figure.starts_with("net.start_ratio") || figure.starts_with("net.cost_ratio");
}

std::vector<std::string> changed_now(const Figure& figure, Stored stored, const Trees& now) {
  note_parts(source_directory(), figure.code, stored);
  return changed_code(figure, stored, now);
}

int list_figures(bool as_json) {
  // A tarball has no history: then nothing is said of what has changed.
  const auto now = current_trees(source_directory(), all_code());
  auto all = nlohmann::json::array();
  for (const auto& figure : figures()) {
    nlohmann::json one = {{"figure", figure.name},
                          {"unit", figure.unit},
                          {"target", target_text(figure)},
                          {"meaning", figure.meaning},
                          {"last", nullptr}};
    std::string words = "not measured";
    if (const auto stored = load_stored(source_directory(), figure.name)) {
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
  auto stored = load_stored(source_directory(), figure.name);
  if (!stored) return not_measured(stored.error());
  note_parts(source_directory(), figure.code, *stored);
  const auto now = current_trees(source_directory(), figure.code);
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
  const auto provenance = provenance_now(source_directory(), all_code(), command);
  if (!provenance) return not_measured(provenance.error());
  const auto measured =
      figure.in_lab ? measure(figure.name, options) : measure_up_first(source_directory(), memory);
  if (!measured) return not_measured(measured.error());
  const nlohmann::json details = nlohmann::json::parse(measured->details, nullptr, false);
  for (const auto& [key, value] : details.items())
    if (!value.is_structured()) std::cout << key << ": " << value.dump() << '\n';
  auto all = measured->also;
  all.emplace_back(figure.name, measured->value);
  for (const auto& [name, value] : all) {
    const Figure* one = find_figure(name);
    if (one == nullptr) continue;
    if (store) {
      const Stored stored{name, value, of_code(*provenance, one->code), measured->details};
      if (const auto saved = save_stored(source_directory(), *one, stored); !saved)
        return not_measured(saved.error());
    }
    if (one != &figure) std::cout << "beside: " << verdict_line(*one, value) << '\n';
  }
  return print_verdict(figure, measured->value);
}

int answer_figure(const Call& call, const FigureWords& words) {
  if (words.list) return list_figures(words.as_json);
  const Figure* figure = find_figure(words.name);
  if (figure == nullptr)
    return not_measured(
        {0, "there is no figure \"" + words.name + "\"; see panal-bench figure --list"});
  if (words.stored) return stored_figure(*figure);
  if (words.store) {
    const auto fresh = check_fresh(source_directory(), build_directory(), measured_programs());
    if (!fresh) return not_measured({0, fresh.error().context});
  }
  if (figure->in_lab)
    enter_lab(call, {words.memory, figure->machine_settings, wants_many_tasks(figure->name)});
  return measure_figure(*figure, words.store, call.words(), words.memory, words.measuring);
}

int write_report(const std::string& wanted) {
  const std::string source = source_directory();
  const std::string text = report(
      [&source](const std::string& figure) -> std::optional<Stored> {
        auto found = load_stored(source, figure);
        if (!found) return std::nullopt;
        return std::move(*found);
      },
      [&source](const std::string& file) {
        return ::access((source + "/docs/plots/" + file).c_str(), R_OK) == 0;
      },
      [now = current_trees(source, all_code())](const Figure& figure, const Stored& one) {
        return now && !changed_now(figure, one, *now).empty();
      });
  if (wanted == "-") {
    std::cout << text;
    return kPass;
  }
  return told(write_file(wanted.empty() ? source + "/docs/results.md" : wanted, text));
}

}  // namespace

Subcommand add_figure(CLI::App& app) {
  const auto words = std::make_shared<FigureWords>();
  auto* parser = app.add_subcommand("figure", "measures one figure of the design");
  parser->add_option("NAME", words->name);
  parser->add_flag("--list", words->list, "all figures, their targets and last results");
  parser->add_flag("--json", words->as_json, "with --list");
  parser->add_flag("--stored", words->stored, "answer from the last stored run");
  parser->add_flag("--store", words->store, "keep the result in bench/results");
  parser->add_option("--memory", words->memory, "limit of the lab, e.g. 14G");
  parser->add_option("--beyond-hold", words->measuring.beyond_hold_seconds,
                     "mix figures: seconds after each lot beyond the target (default 180)");
  parser->add_option("--until", words->measuring.until_seconds,
                     "mix figures: add no lot beyond the target after so many seconds "
                     "(default 7800)");
  return {parser, [words](const Call& call) { return answer_figure(call, *words); }};
}

Subcommand add_report(CLI::App& app) {
  const auto file = std::make_shared<std::string>();
  auto* parser = app.add_subcommand("report", "writes docs/results.md from stored results");
  parser->add_option("FILE", *file, "default docs/results.md; - for stdout");
  return {parser, [file](const Call& /*call*/) { return write_report(*file); }};
}

}  // namespace panal::bench
