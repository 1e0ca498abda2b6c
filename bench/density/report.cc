#include "bench/density/report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace panal::bench {
namespace {

struct Plot {
  const char* name;
  const char* shows;
};

/// Of scripts/plotting/series.py, in the order of the issue.
constexpr Plot kPlots[] = {
    {"marginal", "Memory of one more desktop, by profile (red: target)"},
    {"memory", "Memory taken by N desktops"},
    {"typing", "Key to picture beside N desktops (red: 100 ms)"},
    {"ksm", "Memory won by merging, by law"},
    {"reconnect", "First picture of users who return, and memory of those who are away"},
    {"figures", "Figures as shares of their targets (left of 1 is good)"},
};

std::string plots(const std::function<bool(const std::string& file)>& has_plot) {
  std::string out;
  for (const Plot& plot : kPlots) {
    const std::string file = std::string(plot.name) + ".svg";
    if (has_plot(file)) out += fmt::format("\n![{}](plots/{})\n", plot.shows, file);
  }
  if (out.empty()) return out;
  return "\n## Plots\n\nDrawn by `scripts/plots` from the same files.\n" + out;
}

}  // namespace

std::string report(const std::function<std::optional<Stored>(const std::string& name)>& find,
                   const std::function<bool(const std::string& file)>& has_plot,
                   const std::function<bool(const Figure&, const Stored&)>& changed) {
  std::string out =
      "# Measured results\n\n"
      "Made by `panal-bench report` from `bench/results`; not edited by hand. A figure is "
      "measured\n"
      "again by `panal-bench figure NAME --store`. *Busy*: something else ran on the machine. "
      "*Older code*:\nwhat it measures has changed since, by the time of this page.\n\n"
      "| figure | value | target | | meaning |\n|---|---|---|---|---|\n";
  std::string how;
  for (const auto& figure : figures()) {
    const auto stored = find(figure.name);
    if (!stored) {
      out += fmt::format("| {} | not measured | {} | | {} |\n", figure.name, target_text(figure),
                         figure.meaning);
      continue;
    }
    const auto& p = stored->provenance;
    const bool quiet = p.load_before <= kQuietLoad;
    const char* verdict = !figure.has_target()            ? ""
                          : passes(figure, stored->value) ? "pass"
                                                          : "**fail**";
    out += fmt::format("| {} | {} {}{}{} | {} | {} | {} |\n", figure.name,
                       number_text(stored->value), figure.unit, quiet ? "" : " (busy)",
                       changed && changed(figure, *stored) ? " (older code)" : "",
                       target_text(figure), verdict, figure.meaning);
    how += fmt::format("\n## {}\n\n`{}`, {}, commit {}{}, load average before {:.1f}\n",
                       figure.name, p.command, p.date, p.commit.substr(0, 12),
                       p.uncommitted ? " with uncommitted changes" : "", p.load_before);
    how += fmt::format("on {}, Linux {}.\n", p.machine, p.kernel);
    const auto details = nlohmann::json::parse(stored->details, nullptr, false);
    if (!details.is_object()) continue;
    std::string list;
    for (const auto& [key, value] : details.items()) {
      if (value.is_structured()) continue;
      list += fmt::format("{}{}: {}", list.empty() ? "" : "; ", key,
                          value.is_number_float() ? number_text(value.get<double>())
                          : value.is_string()     ? value.get<std::string>()
                                                  : value.dump());
    }
    if (!list.empty()) how += fmt::format("\n{}\n", list);
  }
  return out + plots(has_plot) + how;
}

}  // namespace panal::bench
