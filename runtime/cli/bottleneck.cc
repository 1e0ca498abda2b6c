#include "runtime/cli/bottleneck.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/cli/table.h"

namespace panal::cli {
namespace {

using nlohmann::json;

constexpr double kWaits = 0.10;
constexpr double kFull = 0.90;
/// Of the waiting for I/O: as much waiting for memory is its cause.
constexpr double kCauses = 0.5;

std::optional<double> real(const json& object, const char* key) {
  if (!object.is_object()) return std::nullopt;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  return std::max(0.0, found->get<double>());
}

std::uint64_t whole(double value) { return static_cast<std::uint64_t>(value); }

std::optional<double> waited(const json& host, const char* key) {
  const auto percent = real(host, key);
  return percent ? std::optional(std::min(1.0, *percent / 100)) : std::nullopt;
}

/// How much more there is of a counter; nothing when it began anew.
std::optional<double> grown(const json& before, const json& now, const char* key) {
  const auto earlier = real(before, key);
  const auto later = real(now, key);
  if (!earlier || !later || *later < *earlier) return std::nullopt;
  return *later - *earlier;
}

const json& list_of(const json& host, const char* key) {
  static const json kNone = json::array();
  if (!host.is_object()) return kNone;
  const auto found = host.find(key);
  return found != host.end() && found->is_array() ? *found : kNone;
}

std::string name_of_entry(const json& entry) {
  if (!entry.is_object()) return {};
  const auto found = entry.find("name");
  return found != entry.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const json& same_named(const json& list, const std::string& name) {
  static const json kNone;
  for (const json& entry : list)
    if (name_of_entry(entry) == name) return entry;
  return kNone;
}

std::string per_second(double bytes) { return human_bytes(whole(bytes)) + "/s"; }

ResourceLoad memory_load(const json& now) {
  ResourceLoad load{"RAM", {}, waited(now, "psi_memory"), ""};
  const auto total = real(now, "mem_total_bytes");
  const auto available = real(now, "mem_available_bytes");
  if (!total || !available || *total <= 0) return load;
  load.used = std::clamp(1 - *available / *total, 0.0, 1.0);
  load.detail =
      fmt::format("{} of {} available", human_bytes(whole(*available)), human_bytes(whole(*total)));
  return load;
}

ResourceLoad disk_load(const json& before, const json& now, double seconds) {
  ResourceLoad load{"I/O", {}, waited(now, "psi_io"), ""};
  double bytes = 0;
  std::string busiest;
  for (const json& disk : list_of(now, "disks")) {
    const std::string name = name_of_entry(disk);
    const json& earlier = same_named(list_of(before, "disks"), name);
    const auto busy_ms = grown(earlier, disk, "busy_ms");
    if (!busy_ms || seconds <= 0) continue;
    bytes += grown(earlier, disk, "read_bytes").value_or(0) +
             grown(earlier, disk, "written_bytes").value_or(0);
    const double share = std::min(1.0, *busy_ms / 1000 / seconds);
    if (load.used && *load.used >= share) continue;
    load.used = share;
    busiest = name;
  }
  if (load.used) load.detail = fmt::format("{} busiest, {}", busiest, per_second(bytes / seconds));
  return load;
}

ResourceLoad cpu_load(const json& before, const json& now, double seconds) {
  ResourceLoad load{"CPU", {}, waited(now, "psi_cpu"), ""};
  const auto busy_ns = grown(before, now, "cpu_busy_ns");
  const auto cores = real(now, "cores");
  if (!busy_ns || !cores || *cores < 1 || seconds <= 0) return load;
  const double busy = std::min(*cores, *busy_ns / 1e9 / seconds);
  load.used = busy / *cores;
  load.detail = fmt::format("{:.1f} of {:.0f} cores", busy, *cores);
  return load;
}

/// A link's two ways are apart, and only the sum of them is known to be carried: a link is full
/// when the busier way is.
ResourceLoad network_load(const json& before, const json& now, double seconds) {
  ResourceLoad load{"network", {}, {}, ""};
  double bytes = 0, dropped = 0;
  std::string fullest;
  if (seconds <= 0) return load;
  for (const json& link : list_of(now, "links")) {
    const std::string name = name_of_entry(link);
    const json& earlier = same_named(list_of(before, "links"), name);
    const auto in = grown(earlier, link, "received_bytes");
    const auto out = grown(earlier, link, "sent_bytes");
    if (!in || !out) continue;
    bytes += *in + *out;
    dropped += grown(earlier, link, "dropped").value_or(0);
    const auto speed = real(link, "speed_bits_per_second");
    if (!speed || *speed <= 0) continue;
    const double share = std::min(1.0, std::max(*in, *out) * 8 / *speed / seconds);
    if (load.used && *load.used >= share) continue;
    load.used = share;
    fullest = name;
  }
  load.detail = per_second(bytes / seconds);
  if (!fullest.empty()) load.detail = fullest + " fullest, " + load.detail;
  if (dropped > 0) load.detail += fmt::format(", {:.0f} packets dropped", dropped);
  return load;
}

ResourceLoad kernel_load(const json& now) {
  ResourceLoad load{"kernel", {}, {}, ""};
  for (const json& object : list_of(now, "objects")) {
    const auto used = real(object, "used");
    const auto limit = real(object, "limit");
    if (!used || !limit || *limit <= 0) continue;
    const double share = std::min(1.0, *used / *limit);
    if (load.used && *load.used >= share) continue;
    load.used = share;
    load.detail = fmt::format("{}: {:.0f} of {:.0f}", name_of_entry(object), *used, *limit);
  }
  return load;
}

}  // namespace

std::vector<ResourceLoad> resource_loads(const json& before, const json& now, double seconds) {
  return {memory_load(now), disk_load(before, now, seconds), cpu_load(before, now, seconds),
          network_load(before, now, seconds), kernel_load(now)};
}

Bottleneck bottleneck_of(const std::vector<ResourceLoad>& loads) {
  const auto waits_less = [](const ResourceLoad& a, const ResourceLoad& b) {
    return a.waited.value_or(0) < b.waited.value_or(0);
  };
  const auto emptier = [](const ResourceLoad& a, const ResourceLoad& b) {
    return a.used.value_or(0) < b.used.value_or(0);
  };
  if (loads.empty()) return {};
  auto most = std::max_element(loads.begin(), loads.end(), waits_less);
  if (most->waited.value_or(0) >= kWaits) {
    const auto memory = std::find_if(loads.begin(), loads.end(),
                                     [](const ResourceLoad& load) { return load.name == "RAM"; });
    if (most->name == "I/O" && memory != loads.end() && memory->waited.value_or(0) >= kWaits &&
        *memory->waited >= kCauses * *most->waited)
      most = memory;
    return {most->name,
            fmt::format("tasks waited for it {:.0f} % of the last 10 s", 100 * *most->waited)};
  }
  const auto fullest = std::max_element(loads.begin(), loads.end(), emptier);
  if (fullest->used.value_or(0) < kFull) return {};
  return {fullest->name,
          fmt::format("{:.0f} % of it are in use, and nobody waits yet", 100 * *fullest->used)};
}

json to_json(const std::vector<ResourceLoad>& loads) {
  json out = json::array();
  for (const ResourceLoad& load : loads) {
    json one = {{"name", load.name}, {"detail", load.detail}};
    one["used"] = load.used ? json(*load.used) : json(nullptr);
    one["waited"] = load.waited ? json(*load.waited) : json(nullptr);
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace panal::cli
