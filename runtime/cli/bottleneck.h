#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace panal::cli {

/// One of the five things that a host of desktops runs out of.
struct ResourceLoad {
  std::string name;              ///< "RAM", "I/O", "CPU", "network", "kernel"
  std::optional<double> used;    ///< share of what there is, 0 to 1; nothing: not known
  std::optional<double> waited;  ///< share of the last 10 s in which tasks waited for it (PSI)
  std::string detail;            ///< for people: of what, and how much
};

/// All five, from two answers of panald's `stats` (their part `host`) that are `seconds` apart. A
/// field that is absent or of the wrong type counts as not known; so does a rate when `seconds` is
/// 0.
[[nodiscard]] std::vector<ResourceLoad> resource_loads(const nlohmann::json& before,
                                                       const nlohmann::json& now, double seconds);

struct Bottleneck {
  std::string resource;  ///< empty: nothing is short
  std::string why;       ///< "tasks waited for it 42 % of the last 10 s"
};

/// The one that is short now. What tasks wait for comes first, when they do so for a tenth of the
/// time: many starts keep the CPUs busy and nobody waits long, while a host that waits for memory
/// has idle CPUs. Short memory makes tasks wait for the disk as well, so RAM is it when both are.
/// Where nobody waits, the fullest that is nine tenths full: it is what ends it next.
[[nodiscard]] Bottleneck bottleneck_of(const std::vector<ResourceLoad>& loads);

[[nodiscard]] nlohmann::json to_json(const std::vector<ResourceLoad>& loads);

}  // namespace panal::cli
