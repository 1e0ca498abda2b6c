#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

namespace panal::bench {

/// Of measured times: how many, their median and 99th percentile (nearest rank), least and most.
struct Spread {
  std::size_t count = 0;
  double p50 = 0, p99 = 0, least = 0, most = 0;
};

/// Of nothing: all 0.
[[nodiscard]] Spread spread_of(std::vector<double> values);
[[nodiscard]] nlohmann::json to_json(const Spread& spread);

}  // namespace panal::bench
