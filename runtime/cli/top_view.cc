#include "runtime/cli/top_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/base/log.h"
#include "runtime/cli/table.h"

namespace panal::cli {
namespace {

std::uint64_t number(const nlohmann::json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_number()) return 0;
  if (it->is_number_float()) return static_cast<std::uint64_t>(std::max(0.0, it->get<double>()));
  if (it->is_number_unsigned()) return it->get<std::uint64_t>();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, it->get<std::int64_t>()));
}

std::string text(const nlohmann::json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

/// What the optimiser saves: merged, compressed, taken back; and who pays. Empty without one.
std::string render_optimiser(const nlohmann::json& report) {
  const auto part = [&report](const char* name) {
    const auto found = report.find(name);
    return found != report.end() && found->is_object() ? *found : nlohmann::json::object();
  };
  const auto ksm = part("ksm");
  const auto zram = part("zram");
  const auto shaver = part("shaver");
  std::string line;
  const auto say = [&line](const std::string& words) {
    line += (line.empty() ? "" : "   ") + words;
  };
  if (ksm.contains("profit_bytes")) {
    std::string how = ksm.value("governed", false) ? text(ksm, "phase") : "not governed";
    if (const std::string whose = text(ksm, "domain"); !whose.empty())
      how += (ksm.value("draining", false) ? ", waits until the last merged desktop is gone: "
                                           : ", of ") +
             whose;
    say(fmt::format("merged {} (KSM {})", human_bytes(number(ksm, "profit_bytes")), how));
  }
  if (number(zram, "original_bytes") > 0)
    say(fmt::format("compressed {} into {}", human_bytes(number(zram, "original_bytes")),
                    human_bytes(number(zram, "used_bytes"))));
  if (shaver.value("on", false))
    say(fmt::format("taken back {}", human_bytes(number(shaver, "taken_bytes"))));
  const auto classes = part("classes");
  std::string who;
  for (const char* name : {"active", "idle", "disconnected", "frozen"})
    if (const auto count = number(classes, name); count > 0)
      who += fmt::format("{}{} {}", who.empty() ? "" : ", ", count, name);
  if (!who.empty()) say(who);
  return line;
}

/// How near the end is and what was done about it. Empty while all is well and was.
std::string render_last_resort(const nlohmann::json& report) {
  const auto found = report.find("last_resort");
  if (found == report.end() || !found->is_object()) return "";
  const nlohmann::json& resort = *found;
  const std::string danger = text(resort, "danger");
  const auto processes = number(resort, "killed_processes");
  const auto desktops = number(resort, "killed_desktops");
  if ((danger.empty() || danger == "none") && processes + desktops == 0) return "";
  std::string line =
      fmt::format("memory: {}, {} left to {}", danger == "none" ? "enough" : danger,
                  human_bytes(number(resort, "available_bytes")), text(resort, "nearest"));
  if (!text(resort, "closed").empty()) line += "; no desktop starts";
  if (processes + desktops > 0)
    line += fmt::format("; killed for it: {} processes, {} desktops", processes, desktops);
  const auto kills = resort.find("last_kills");
  if (kills != resort.end() && kills->is_array() && !kills->empty() && kills->back().is_string())
    line += "\nlast: " + kills->back().get<std::string>();
  return line;
}

}  // namespace

nlohmann::json TopView::digest(const nlohmann::json& stats, std::uint64_t now_ns,
                               const std::map<DesktopId, store::Desktop>& names) {
  nlohmann::json out = {{"desktops", nlohmann::json::array()}};
  out["host"] = stats.contains("host") && stats["host"].is_object() ? stats["host"]
                                                                    : nlohmann::json::object();
  out["optimiser"] = stats.contains("optimiser") && stats["optimiser"].is_object()
                         ? stats["optimiser"]
                         : nlohmann::json::object();
  std::map<DesktopId, Sample> seen;
  const auto list = stats.find("desktops");
  if (list != stats.end() && list->is_array()) {
    for (const auto& one : *list) {
      if (!one.is_object()) continue;
      nlohmann::json row = one;
      const auto id = static_cast<DesktopId>(number(one, "id"));
      const std::uint64_t cpu = number(one, "cpu_ns");
      seen[id] = {cpu};
      double percent = 0;
      const auto earlier = before_.find(id);
      // A restarted desktop counts from nothing again.
      if (earlier != before_.end() && cpu >= earlier->second.cpu_ns && now_ns > before_ns_) {
        percent = 100.0 * static_cast<double>(cpu - earlier->second.cpu_ns) /
                  static_cast<double>(now_ns - before_ns_);
      }
      row["cpu_percent"] = percent;
      if (const auto name = names.find(id); name != names.end()) {
        row["name"] = name->second.name;
        row["user"] = name->second.login;
        row["state"] = store::to_string(name->second.observed);
      }
      out["desktops"].push_back(std::move(row));
    }
  }
  std::stable_sort(out["desktops"].begin(), out["desktops"].end(),
                   [](const nlohmann::json& a, const nlohmann::json& b) {
                     return number(a, "memory_bytes") > number(b, "memory_bytes");
                   });
  before_ = std::move(seen);
  before_ns_ = now_ns;
  return out;
}

std::string render_top(const nlohmann::json& digest, std::size_t rows) {
  std::ostringstream out;
  const auto& host = digest.at("host");
  const auto& desktops = digest.at("desktops");
  out << fmt::format("{} desktops", desktops.size());
  const auto bytes = [&](const char* label, const char* key) {
    if (host.contains(key)) out << fmt::format("   {} {}", label, human_bytes(number(host, key)));
  };
  bytes("available", "mem_available_bytes");
  bytes("of", "mem_total_bytes");
  bytes("used by desktops", "parent_memory_bytes");
  bytes("limit", "parent_limit_bytes");
  out << "\n";
  std::string pressure;
  for (const auto& [key, value] : host.items()) {
    if (key.find("psi") == std::string::npos || !value.is_number()) continue;
    pressure += fmt::format("{}{} {:.2f}", pressure.empty() ? "pressure (% of 10 s): " : ", ", key,
                            value.get<double>());
  }
  if (!pressure.empty()) out << printable(pressure, 400) << "\n";
  if (digest.contains("optimiser"))
    if (const std::string line = render_optimiser(digest["optimiser"]); !line.empty())
      out << printable(line, 400) << "\n";
  if (digest.contains("optimiser")) {
    std::istringstream lines(render_last_resort(digest["optimiser"]));
    for (std::string line; std::getline(lines, line);) out << printable(line, 400) << "\n";
  }
  Table table({">ID", "NAME", "USER", "STATE", "SESSION", ">IDLE", ">MEMORY", ">ANON", ">SWAP",
               ">CPU %", ">PROCS", "CLASS"});
  for (const auto& row : desktops) {
    if (table.rows() == rows) break;
    table.add_row({std::to_string(number(row, "id")), text(row, "name"), text(row, "user"),
                   text(row, "state"), text(row, "session"), human_duration(number(row, "idle_ms")),
                   human_bytes(number(row, "memory_bytes")), human_bytes(number(row, "anon_bytes")),
                   human_bytes(number(row, "swap_bytes")),
                   fmt::format("{:.1f}", row.value("cpu_percent", 0.0)),
                   std::to_string(number(row, "processes")), text(row, "class")});
  }
  table.print(out);
  return out.str();
}

}  // namespace panal::cli
