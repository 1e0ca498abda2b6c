#include "runtime/metrics/metrics.h"

#include <prometheus/text_serializer.h>

#include <nlohmann/json.hpp>

#include "runtime/metrics/book.h"

namespace panal::metrics {

using nlohmann::json;
using prometheus::ClientMetric;
using prometheus::MetricType;

namespace {

Book book_of(const NodeFigures& figures) {
  Book book;
  write_node(book, figures);
  write_starts(book, figures);
  write_decisions(book, figures.optimiser);
  write_ksm(book, figures.optimiser);
  write_last_resort(book, figures.resort);
  write_warm(book, figures.warm);
  write_network(book, figures.network);
  return book;
}

const char* word(MetricType type) {
  switch (type) {
    case MetricType::Counter: return "counter";
    case MetricType::Gauge: return "gauge";
    case MetricType::Histogram: return "histogram";
    default: return "untyped";
  }
}

json sample_json(const ClientMetric& sample, MetricType type) {
  json out = {{"labels", json::object()}};
  for (const ClientMetric::Label& label : sample.label) out["labels"][label.name] = label.value;
  if (type != MetricType::Histogram) {
    out["value"] = type == MetricType::Counter ? sample.counter.value : sample.gauge.value;
    return out;
  }
  out["count"] = sample.histogram.sample_count;
  out["sum"] = sample.histogram.sample_sum;
  out["buckets"] = json::array();
  for (const ClientMetric::Bucket& bucket : sample.histogram.bucket)
    out["buckets"].push_back({{"le", bucket.upper_bound}, {"count", bucket.cumulative_count}});
  return out;
}

}  // namespace

std::string text(const NodeFigures& figures) {
  return prometheus::TextSerializer().Serialize(book_of(figures).families());
}

json families(const NodeFigures& figures) {
  json out = json::array();
  const Book book = book_of(figures);
  for (const prometheus::MetricFamily& family : book.families()) {
    json samples = json::array();
    for (const ClientMetric& sample : family.metric)
      samples.push_back(sample_json(sample, family.type));
    out.push_back({{"name", family.name},
                   {"type", word(family.type)},
                   {"help", family.help},
                   {"samples", std::move(samples)}});
  }
  return out;
}

}  // namespace panal::metrics
