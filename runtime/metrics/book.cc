#include "runtime/metrics/book.h"

#include <algorithm>

namespace panal::metrics {

using prometheus::ClientMetric;
using prometheus::MetricType;

ClientMetric& Family::sample(const Labels& labels) {
  ClientMetric& one = family_.metric.emplace_back();
  for (const auto& [name, value] : labels) one.label.push_back({name, value});
  return one;
}

Family& Family::add(double value, const Labels& labels) {
  ClientMetric& one = sample(labels);
  if (family_.type == MetricType::Counter)
    one.counter.value = value;
  else
    one.gauge.value = value;
  return *this;
}

Family& Family::add(const optimiser::Durations& durations) {
  ClientMetric::Histogram& histogram = sample({}).histogram;
  histogram.sample_sum = durations.sum_seconds;
  for (std::size_t i = 0; i < durations.counts.size(); ++i) {
    histogram.sample_count += durations.counts[i];
    if (i < optimiser::Durations::kBounds.size())
      histogram.bucket.push_back({histogram.sample_count, optimiser::Durations::kBounds[i]});
  }
  return *this;
}

void Family::add(const char* label, std::span<const std::string_view> known,
                 const optimiser::Counts& counts) {
  for (const std::string_view word : known) {
    const auto found = counts.find(word);
    add(found == counts.end() ? 0 : static_cast<double>(found->second),
        {{label, std::string(word)}});
  }
  for (const auto& [word, count] : counts)
    if (std::find(known.begin(), known.end(), word) == known.end())
      add(static_cast<double>(count), {{label, word}});
}

Family Book::counter(const char* name, const char* help) {
  return begin(name, help, MetricType::Counter);
}
Family Book::gauge(const char* name, const char* help) {
  return begin(name, help, MetricType::Gauge);
}
Family Book::histogram(const char* name, const char* help) {
  return begin(name, help, MetricType::Histogram);
}

Family Book::begin(const char* name, const char* help, MetricType type) {
  prometheus::MetricFamily& family = families_.emplace_back();
  family.name = name;
  family.help = help;
  family.type = type;
  return Family(family);
}

}  // namespace panal::metrics
