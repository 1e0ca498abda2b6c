#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "bench/network/network.h"

namespace panal::bench {
namespace {

using nlohmann::json;

constexpr const char* kWays[] = {"out", "out6", "mate", "mate6", "first", "denied"};

std::string whole(const json& value) { return fmt::format("{:.0f}", value.get<double>()); }

std::string milliseconds_of(const json& spread) {
  const double p50 = spread["p50"].get<double>(), p99 = spread["p99"].get<double>();
  return p50 < 10 ? fmt::format("{:.2f} / {:.2f}", p50, p99)
                  : fmt::format("{:.0f} / {:.0f}", p50, p99);
}

/// "| arm | not here: why |", with as many cells as the table has.
bool skipped(const std::string& arm, const json& one, unsigned cells, std::string& out) {
  if (!one.contains("skipped")) return false;
  out += fmt::format("| {} | not here: {} |", arm, one["skipped"].get<std::string>());
  for (unsigned i = 2; i < cells; ++i) out += " |";
  out += "\n";
  return true;
}

std::string cost_table(const json& cost, const json& sizes) {
  std::string out = "CPU of a packet in ns (thousand packets a second), medians\n\n| rules | way |";
  for (const auto& size : sizes) out += fmt::format(" {} |", size.get<std::size_t>());
  out += " largest to smallest (95 %) |\n|---|---|";
  for (std::size_t i = 0; i < sizes.size() + 1; ++i) out += "---|";
  out += "\n";
  for (const auto& [arm, one] : cost.items()) {
    if (skipped(arm, one, static_cast<unsigned>(sizes.size()) + 3, out)) continue;
    for (const char* way : kWays) {
      std::string row;
      bool any = false;
      for (const auto& node : one["nodes"]) {
        const json& ways = node["ways"];
        if (!ways.contains(way)) {
          row += " - |";
          continue;
        }
        any = true;
        row += fmt::format(" {} ({:.0f}) |", whole(ways[way]["cpu_ns"]["p50"]),
                           ways[way]["packets_per_second"].get<double>() / 1000);
      }
      if (!any) continue;
      out += fmt::format("| {} | {} |{}", arm, way, row);
      if (!one["flatness"].contains(way)) {
        out += " |\n";
        continue;
      }
      const json& ratio = one["flatness"][way];
      out += fmt::format(" {:.3f} ({:.3f} to {:.3f}) |\n", ratio["median"].get<double>(),
                         ratio["low95"].get<double>(), ratio["high95"].get<double>());
    }
  }
  return out + "\n";
}

std::string changes_table(const json& changes) {
  std::string out =
      "ms, p50 / p99, beside the desktops that are there\n\n"
      "| rules | desktops | add one | again at once | remove one | add 400 | remove 400 | load all "
      "|\n"
      "|---|---|---|---|---|---|---|---|\n";
  for (const auto& [arm, one] : changes.items()) {
    if (skipped(arm, one, 8, out)) continue;
    const auto cell = [&, &row = one](const char* name) {
      return row.contains(name) ? milliseconds_of(row[name]) : std::string("-");
    };
    out += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} |\n", arm,
                       one["desktops"].get<std::size_t>(), cell("add_ms"), cell("add_again_ms"),
                       cell("remove_ms"), cell("add_400_ms"), cell("remove_400_ms"),
                       whole(one["load_ms"]));
  }
  return out + "\n";
}

std::string swap_table(const json& swap) {
  std::string out =
      "| rules | desktops | exchanges | ms each, p50 / p99 | packets sent | lost | let through "
      "that "
      "are forbidden |\n|---|---|---|---|---|---|---|\n";
  for (const auto& [arm, one] : swap.items()) {
    if (skipped(arm, one, 7, out)) continue;
    out += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", arm,
                       one["desktops"].get<std::size_t>(), one["swaps"].get<unsigned>(),
                       milliseconds_of(one["swap_ms"]), one["sent"].get<std::uint64_t>(),
                       one["lost"].get<std::uint64_t>(), one["leaked"].get<std::uint64_t>());
  }
  return out + "\n";
}

std::string repair_table(const json& repair) {
  std::string out =
      "Seconds from the first word of the command until the repair was reported, least to most\n\n"
      "| rules | desktops | flushed table | added rule | lost element |\n|---|---|---|---|---|\n";
  for (const auto& [arm, one] : repair.items()) {
    if (skipped(arm, one, 5, out)) continue;
    out += fmt::format("| {} | {} |", arm, one["desktops"].get<std::size_t>());
    for (const char* kind : {"flushed table", "added rule", "lost element"}) {
      const json& spread = one["seconds"][kind];
      out += fmt::format(" {:.2f} to {:.2f} |", spread["least"].get<double>(),
                         spread["most"].get<double>());
    }
    out += "\n";
  }
  return out + "\n";
}

}  // namespace

std::string network_tables(const json& result) {
  const json& parts = result["parts"];
  std::string out;
  if (parts.contains("cost")) out += cost_table(parts["cost"], result["sizes"]);
  if (parts.contains("changes")) out += changes_table(parts["changes"]);
  if (parts.contains("swap")) out += swap_table(parts["swap"]);
  if (parts.contains("repair")) out += repair_table(parts["repair"]);
  return out;
}

}  // namespace panal::bench
