#pragma once

#include <prometheus/metric_family.h>

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/optimiser/figures.h"
#include "runtime/optimiser/resort_figures.h"

/// For this folder: how families are written down.
namespace panal::metrics {

using Labels = std::vector<std::pair<const char*, std::string>>;

/// One family, being filled.
class Family {
 public:
  explicit Family(prometheus::MetricFamily& family) : family_(family) {}

  Family& add(double value, const Labels& labels = {});
  Family& add(const optimiser::Durations& durations);
  /// A sample a word: the known ones, which may be 0, then what else was counted.
  void add(const char* label, std::span<const std::string_view> known,
           const optimiser::Counts& counts);

 private:
  prometheus::ClientMetric& sample(const Labels& labels);

  prometheus::MetricFamily& family_;
};

/// All families, in the order in which they are begun. References to one hold until the next.
class Book {
 public:
  Family counter(const char* name, const char* help);
  Family gauge(const char* name, const char* help);
  Family histogram(const char* name, const char* help);

  [[nodiscard]] const std::vector<prometheus::MetricFamily>& families() const { return families_; }

 private:
  Family begin(const char* name, const char* help, prometheus::MetricType type);

  std::vector<prometheus::MetricFamily> families_;
};

[[nodiscard]] constexpr double seconds(std::uint64_t ns) { return static_cast<double>(ns) / 1e9; }

struct NodeFigures;
struct NetFigures;
struct WarmFigures;
void write_node(Book& book, const NodeFigures& figures);
void write_starts(Book& book, const NodeFigures& figures);
void write_decisions(Book& book, const optimiser::Figures& figures);
void write_ksm(Book& book, const optimiser::Figures& all);
void write_last_resort(Book& book, const optimiser::ResortFigures& resort);
void write_warm(Book& book, const WarmFigures& warm);
void write_network(Book& book, const NetFigures& network);

}  // namespace panal::metrics
