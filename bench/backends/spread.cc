#include "bench/backends/spread.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace panal::bench {
namespace {

/// The value that `percent` of all do not exceed.
double rank(const std::vector<double>& sorted, std::size_t percent) {
  const std::size_t at = (sorted.size() * percent + 99) / 100;
  return sorted[std::max<std::size_t>(at, 1) - 1];
}

}  // namespace

Spread spread_of(std::vector<double> values) {
  Spread out;
  if (values.empty()) return out;
  std::sort(values.begin(), values.end());
  out.count = values.size();
  out.p50 = rank(values, 50);
  out.p99 = rank(values, 99);
  out.least = values.front();
  out.most = values.back();
  return out;
}

nlohmann::json to_json(const Spread& spread) {
  return {{"count", spread.count},
          {"p50", spread.p50},
          {"p99", spread.p99},
          {"least", spread.least},
          {"most", spread.most}};
}

}  // namespace panal::bench
