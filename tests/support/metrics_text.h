#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

/// A strict reader of Prometheus's text format 0.0.4, for tests: what it takes every scraper takes.
namespace panal::test {

struct MetricSample {
  std::string name;  ///< of a histogram with its _bucket, _sum or _count
  std::map<std::string, std::string> labels;
  double value = 0;
};

struct MetricFamily {
  std::string type, help;
  std::vector<MetricSample> samples;

  /// The value of the sample with exactly these labels; NaN when there is none.
  [[nodiscard]] double value(const std::map<std::string, std::string>& labels = {}) const;
};

struct MetricsText {
  std::map<std::string, MetricFamily> families;
  std::string error;  ///< empty: it is good; else "line N: what is wrong"

  [[nodiscard]] double value(const std::string& family,
                             const std::map<std::string, std::string>& labels = {}) const;
};

[[nodiscard]] MetricsText read_metrics(std::string_view text);

}  // namespace panal::test
