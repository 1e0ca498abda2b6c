#include "runtime/cli/top_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/base/log.h"
#include "runtime/cli/bottleneck.h"
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
  const auto zswap = part("zswap");
  const auto shaver = part("shaver");
  std::string line;
  const auto say = [&line](const std::string& words) {
    line += (line.empty() ? "" : "   ") + words;
  };
  if (ksm.contains("profit_bytes")) {
    std::string how = ksm.value("taken_over", false) ? "taken over by somebody else, nobody joins"
                      : ksm.value("governed", false) ? text(ksm, "phase")
                                                     : "not governed";
    if (const std::string whose = text(ksm, "domain"); !whose.empty())
      how += (ksm.value("draining", false) ? ", waits until the last merged desktop is gone: "
                                           : ", of ") +
             whose;
    say(fmt::format("merged {} (KSM {})", human_bytes(number(ksm, "profit_bytes")), how));
  }
  if (number(zram, "original_bytes") > 0)
    say(fmt::format("compressed {} into {}", human_bytes(number(zram, "original_bytes")),
                    human_bytes(number(zram, "used_bytes"))));
  if (number(zswap, "original_bytes") > 0)
    say(fmt::format("swapped out {}, {} of them compressed into {}",
                    human_bytes(number(zswap, "swapped_bytes")),
                    human_bytes(number(zswap, "original_bytes")),
                    human_bytes(number(zswap, "used_bytes"))));
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

/// Why starts wait, if they do.
std::string render_waits(const nlohmann::json& report) {
  const auto room = report.find("room");
  if (room == report.end() || !room->is_object()) return "";
  const std::string why = text(*room, "waits");
  return why.empty() ? "" : "starts wait: " + why;
}

/// How many more fit and what ends it, then of each image. Empty while it is not known.
std::string render_room(const nlohmann::json& report) {
  const auto room = report.find("room");
  if (room == report.end() || !room->is_object()) return "";
  const auto more = [](const nlohmann::json& one) {
    const auto count = one.is_object() ? one.find("more") : one.end();
    return count == one.end() || !count->is_number()
               ? std::string()
               : fmt::format("{} more by {}", number(one, "more"), text(one, "first_out"));
  };
  std::string line = more(*room);
  if (line.empty()) return "";
  if (text(*room, "by") == "estimate") line += " (an estimate)";
  const auto images = room->find("images");
  if (images == room->end() || !images->is_object() || images->size() < 2) return "room: " + line;
  for (const auto& [image, one] : images->items())
    if (const std::string its = more(one); !its.empty()) line += "; of " + image + " " + its;
  return "room: " + line;
}

/// The parts of a desktop's cost, and their sum over all that were looked at.
constexpr const char* kCostParts[] = {"total_bytes",  "pss_bytes",        "shared_bytes",
                                      "merged_bytes", "compressed_bytes", "kernel_bytes"};

class Costs {
 public:
  void add(const nlohmann::json& desktop) {
    const auto cost = desktop.find("cost");
    if (cost == desktop.end() || !cost->is_object()) return;
    ++count_;
    for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += number(*cost, kCostParts[i]);
  }
  [[nodiscard]] nlohmann::json json() const {
    nlohmann::json out = {{"desktops", count_}};
    for (std::size_t i = 0; i < sums_.size(); ++i) out[kCostParts[i]] = sums_[i];
    return out;
  }

 private:
  std::size_t count_ = 0;
  std::array<std::uint64_t, std::size(kCostParts)> sums_{};
};

/// What runs, the five resources and which of them is short.
std::string render_host(const nlohmann::json& digest) {
  std::ostringstream out;
  const auto& host = digest.at("host");
  out << fmt::format("{} desktops", digest.at("desktops").size());
  if (host.contains("parent_memory_bytes"))
    out << fmt::format("   charged with {} of {}", human_bytes(number(host, "parent_memory_bytes")),
                       human_bytes(number(host, "parent_limit_bytes")));
  const auto bottleneck = digest.value("bottleneck", nlohmann::json::object());
  const std::string resource = text(bottleneck, "resource");
  out << (resource.empty()
              ? std::string("   nothing is short")
              : fmt::format("   bottleneck: {}, {}", resource, text(bottleneck, "why")))
      << "\n";
  const auto resources = digest.find("resources");
  if (resources == digest.end() || !resources->is_array()) return out.str();
  const auto percent = [](const nlohmann::json& load, const char* key) {
    const auto share = load.find(key);
    return share == load.end() || !share->is_number()
               ? std::string("-")
               : fmt::format("{:.1f}", 100 * share->get<double>());
  };
  Table table({"", "RESOURCE", ">USED %", ">WAITED % OF 10 S", ""});
  for (const auto& load : *resources)
    table.add_row({text(load, "name") == resource ? "*" : "", text(load, "name"),
                   percent(load, "used"), percent(load, "waited"), text(load, "detail")});
  table.print(out);
  return out.str();
}

/// Empty while none was looked at.
std::string render_costs(const nlohmann::json& digest) {
  const auto costs = digest.find("costs");
  const auto count = costs == digest.end() ? 0 : number(*costs, "desktops");
  if (count == 0) return "";
  const auto part = [&costs](const char* key) { return human_bytes(number(*costs, key)); };
  return fmt::format(
      "{} of {} desktops looked at: {} in all, {} each: PSS {}, compressed {}, kernel {}   saved: "
      "shared {}; merged by KSM {}",
      count, digest.at("desktops").size(), part("total_bytes"),
      human_bytes(number(*costs, "total_bytes") / count), part("pss_bytes"),
      part("compressed_bytes"), part("kernel_bytes"), part("shared_bytes"), part("merged_bytes"));
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
  const double seconds =
      before_ns_ > 0 && now_ns > before_ns_ ? static_cast<double>(now_ns - before_ns_) / 1e9 : 0;
  const auto loads = resource_loads(host_before_, out["host"], seconds);
  const Bottleneck bottleneck = bottleneck_of(loads);
  out["resources"] = to_json(loads);
  out["bottleneck"] = {{"resource", bottleneck.resource}, {"why", bottleneck.why}};
  std::map<DesktopId, std::uint64_t> seen;
  Costs costs;
  const auto list = stats.find("desktops");
  if (list != stats.end() && list->is_array()) {
    for (const auto& one : *list) {
      if (!one.is_object()) continue;
      nlohmann::json row = one;
      const auto id = static_cast<DesktopId>(number(one, "id"));
      const std::uint64_t cpu = number(one, "cpu_ns");
      seen[id] = cpu;
      double percent = 0;
      const auto earlier = cpu_before_.find(id);
      // A restarted desktop counts from nothing again.
      if (earlier != cpu_before_.end() && cpu >= earlier->second && seconds > 0)
        percent = 100.0 * static_cast<double>(cpu - earlier->second) / 1e9 / seconds;
      costs.add(one);
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
  out["costs"] = costs.json();
  cpu_before_ = std::move(seen);
  host_before_ = out["host"];
  before_ns_ = now_ns;
  return out;
}

std::string render_top(const nlohmann::json& digest, std::size_t lines) {
  std::string head = render_host(digest);
  const auto say = [&head](const std::string& text) {
    std::istringstream lines_of_text(text);
    for (std::string line; std::getline(lines_of_text, line);) head += printable(line, 400) + "\n";
  };
  say(render_costs(digest));
  if (digest.contains("optimiser")) {
    say(render_optimiser(digest["optimiser"]));
    say(render_room(digest["optimiser"]));
    say(render_waits(digest["optimiser"]));
    say(render_last_resort(digest["optimiser"]));
  }
  const auto used =
      static_cast<std::size_t>(std::count(head.begin(), head.end(), '\n')) + 1;  // the heading
  const std::size_t rows = std::max<std::size_t>(3, lines > used ? lines - used : 0);
  std::ostringstream out;
  Table table({">ID", "NAME", "USER", "SESSION", ">IDLE", "CLASS", ">CPU %", ">READ/S", ">WRITE/S",
               ">CHARGED", ">COST", ">PSS", ">SHARED", ">MERGED", ">COMPRESSED", ">KERNEL"});
  for (const auto& row : digest.at("desktops")) {
    if (table.rows() == rows) break;
    const auto cost = row.find("cost");
    const auto part = [&row, &cost](const char* key) {
      return cost == row.end() || !cost->is_object() ? std::string("-")
                                                     : human_bytes(number(*cost, key));
    };
    const auto speed = [&row](const char* key) {
      return row.contains(key) ? human_bytes(number(row, key)) : std::string("-");
    };
    table.add_row({std::to_string(number(row, "id")), text(row, "name"), text(row, "user"),
                   text(row, "session"), human_duration(number(row, "idle_ms")), text(row, "class"),
                   fmt::format("{:.1f}", row.value("cpu_percent", 0.0)),
                   speed("read_bytes_per_second"), speed("written_bytes_per_second"),
                   human_bytes(number(row, "memory_bytes")), part("total_bytes"), part("pss_bytes"),
                   part("shared_bytes"), part("merged_bytes"), part("compressed_bytes"),
                   part("kernel_bytes")});
  }
  table.print(out);
  return head + out.str();
}

}  // namespace panal::cli
