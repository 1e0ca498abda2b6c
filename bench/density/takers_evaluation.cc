#include "bench/density/takers_evaluation.h"

#include <algorithm>

#include "bench/density/units.h"

namespace panal::bench {
namespace {

/// Less of a difference is none.
constexpr double kSame = 0.02;

constexpr double TakersCell::* kNumbers[] = {
    &TakersCell::cost_before,     &TakersCell::cost_after,  &TakersCell::cost_touched,
    &TakersCell::yield,           &TakersCell::smaps_out,   &TakersCell::zram,
    &TakersCell::merged,          &TakersCell::take_cpu_ms, &TakersCell::ksmd_cpu_ms,
    &TakersCell::refaulted_pages, &TakersCell::touch_ms};

double middle(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

const TakersCell* find(const std::vector<TakersMedian>& medians, const std::string& way,
                       TakersOrder order) {
  for (const TakersMedian& one : medians)
    if (one.median.way == way && one.median.order == order) return &one.median;
  return nullptr;
}

}  // namespace

const char* to_string(TakersOrder order) {
  switch (order) {
    case TakersOrder::kAlone: return "alone";
    case TakersOrder::kMergedFirst: return "merged_first";
    case TakersOrder::kTakenFirst: return "taken_first";
  }
  return "";
}

double TakersCell::mib_per_cpu_ms() const {
  return take_cpu_ms > 0 ? yield / kMib / take_cpu_ms : 0;
}

std::vector<TakersMedian> takers_medians(const std::vector<TakersCell>& cells) {
  std::vector<TakersMedian> out;
  for (const TakersCell& cell : cells) {
    if (find(out, cell.way, cell.order) != nullptr) continue;
    std::vector<const TakersCell*> same;
    for (const TakersCell& other : cells)
      if (other.way == cell.way && other.order == cell.order) same.push_back(&other);
    TakersMedian one;
    one.median.way = cell.way;
    one.median.order = cell.order;
    one.rounds = same.size();
    for (const auto number : kNumbers) {
      std::vector<double> values;
      for (const TakersCell* each : same) values.push_back(each->*number);
      one.median.*number = middle(std::move(values));
    }
    std::vector<double> speeds;
    for (const TakersCell* each : same) speeds.push_back(each->mib_per_cpu_ms());
    one.median_mib_per_cpu_ms = middle(speeds);
    one.least_mib_per_cpu_ms = *std::min_element(speeds.begin(), speeds.end());
    one.most_mib_per_cpu_ms = *std::max_element(speeds.begin(), speeds.end());
    out.push_back(std::move(one));
  }
  return out;
}

std::optional<bool> merge_first_pays(const std::vector<TakersMedian>& medians,
                                     const std::string& way) {
  const TakersCell* merged = find(medians, way, TakersOrder::kMergedFirst);
  const TakersCell* taken = find(medians, way, TakersOrder::kTakenFirst);
  if (merged == nullptr || taken == nullptr) return std::nullopt;
  const double difference = merged->cost_after - taken->cost_after;
  if (difference < -kSame * taken->cost_after) return true;
  if (difference > kSame * taken->cost_after) return false;
  return merged->take_cpu_ms + merged->ksmd_cpu_ms <= taken->take_cpu_ms + taken->ksmd_cpu_ms;
}

}  // namespace panal::bench
