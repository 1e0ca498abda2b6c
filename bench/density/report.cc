#include "bench/density/report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace panal::bench {

std::string report(const std::function<std::optional<Stored>(const std::string& name)>& find) {
  std::string out =
      "# Measured results\n\n"
      "Made by `panal-bench report` from `bench/results`; not edited by hand. A figure is "
      "measured\n"
      "again by `panal-bench figure NAME --store`. *Busy*: something else ran on the machine.\n\n"
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
    out += fmt::format("| {} | {} {}{} | {} | {} | {} |\n", figure.name, number_text(stored->value),
                       figure.unit, quiet ? "" : " (busy)", target_text(figure), verdict,
                       figure.meaning);
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
  return out + how;
}

}  // namespace panal::bench
