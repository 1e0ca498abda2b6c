#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "bench/backends/backends.h"

namespace panal::bench {
namespace {

using nlohmann::json;

std::string number(double value) {
  if (value >= 100) return fmt::format("{:.0f}", value);
  if (value >= 10) return fmt::format("{:.1f}", value);
  return fmt::format("{:.2f}", value);
}

/// "1.2 / 3.4": median and 99th percentile.
std::string both(const json& spread) {
  return number(spread["p50"].get<double>()) + " / " + number(spread["p99"].get<double>());
}

std::string middle(const json& spread) { return number(spread["p50"].get<double>()); }

/// "not here: no device-mapper" and the like; "": it was measured.
std::string why_without(const json& arm) {
  if (arm.contains("skipped")) return "not here: " + arm["skipped"].get<std::string>();
  if (arm.contains("failed")) return "failed: " + arm["failed"].get<std::string>();
  return "";
}

/// What all desktops' processes have, and who serves their roots.
std::string live_pss(const json& arm) {
  if (!arm.contains("live")) return "";
  const json& live = arm["live"];
  if (const std::string why = why_without(live); !why.empty()) return why;
  return fmt::format("{:.0f} ({} desktops)",
                     live["pss_mib"].get<double>() + live["daemons_pss_mib"].get<double>(),
                     live["desktops"].get<std::size_t>());
}

}  // namespace

std::string backends_table(const json& result) {
  const json& version = result["version"];
  std::string out = fmt::format(
      "{} ({:.0f} MiB, {} files); times in ms as p50 / p99, of stat and open in us (p50)\n\n"
      "| backend | roots | provision, one | destroy, one | provision, all | destroy, all | "
      "KiB on disk each | mounts each | first read | second read | second's extra cache, MiB | "
      "stat first, again | open first, again | sum PSS of live desktops, MiB |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
      version["name"].get<std::string>(), version["bytes"].get<double>() / (1024 * 1024),
      version["files"].get<std::uint64_t>());
  for (const std::string& name : backend_arms()) {
    if (!result["arms"].contains(name)) continue;
    const json& arm = result["arms"][name];
    if (const std::string why = why_without(arm); !why.empty()) {
      out += fmt::format("| {} | {} | | | | | | | | | | | | {} |\n", name, why, live_pss(arm));
      continue;
    }
    out += fmt::format(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {}, {} | {}, {} | {} |\n", name,
        arm["count"].get<std::size_t>(), both(arm["one"]["provision_ms"]),
        both(arm["one"]["destroy_ms"]), both(arm["many"]["provision_ms"]),
        both(arm["many"]["destroy_ms"]), number(arm["disk_kib"].get<double>()),
        arm["mounts"].get<std::size_t>(), number(arm["first_read_ms"].get<double>()),
        number(arm["second_read_ms"].get<double>()),
        fmt::format("{:.1f}", arm["second_extra_mib"].get<double>()), middle(arm["stat_first_us"]),
        middle(arm["stat_again_us"]), middle(arm["open_first_us"]), middle(arm["open_again_us"]),
        live_pss(arm));
  }
  return out;
}

}  // namespace panal::bench
