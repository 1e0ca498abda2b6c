#include "engine/policy/ksm_trace.h"

#include <algorithm>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

using Value = std::optional<std::int64_t>;

Value number(std::uint64_t value) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(value, INT64_MAX));
}

/// A column's values, nothing where the trace has none of that name.
class Column {
 public:
  Column(const Trace& trace, const char* name) : trace_(trace) {
    const auto found = std::find(trace.columns.begin(), trace.columns.end(), name);
    if (found != trace.columns.end())
      index_ = static_cast<std::size_t>(found - trace.columns.begin());
  }
  [[nodiscard]] bool exists() const { return index_.has_value(); }
  [[nodiscard]] std::uint64_t at(std::size_t row) const {
    if (!index_) return 0;
    return static_cast<std::uint64_t>(
        std::max<std::int64_t>(0, trace_.rows[row][*index_].value_or(0)));
  }
  [[nodiscard]] std::uint32_t small(std::size_t row) const {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(at(row), UINT32_MAX));
  }

 private:
  const Trace& trace_;
  std::optional<std::size_t> index_;
};

}  // namespace

std::vector<std::string> ksm_trace_columns() {
  auto columns = host_columns();
  for (const char* name : {"enlisted_desktops", "enlisted_starts", "enlisted_bytes",
                           "decision_phase", "decision_pages", "decision_sleep_ms"})
    columns.emplace_back(name);
  return columns;
}

std::vector<Value> ksm_trace_row(const Snapshot& host, const KsmSample& sample,
                                 const KsmDecision& decision) {
  auto row = host_row(host);
  for (const std::uint64_t value :
       {std::uint64_t{sample.enlisted_desktops}, sample.enlisted_starts_total,
        sample.enlisted_bytes, static_cast<std::uint64_t>(decision.phase),
        std::uint64_t{decision.run ? decision.pages_to_scan : 0}, std::uint64_t{decision.sleep_ms}})
    row.push_back(number(value));
  return row;
}

std::vector<KsmSample> ksm_samples_of(const Trace& trace) {
  const Column desktops(trace, "enlisted_desktops");
  const Column starts(trace, "enlisted_starts");
  const Column bytes(trace, "enlisted_bytes");
  std::vector<KsmSample> samples;
  samples.reserve(trace.rows.size());
  for (const Snapshot& snapshot : snapshots_of(trace)) {
    const std::size_t row = samples.size();
    KsmSample& sample = samples.emplace_back(ksm_sample_of(snapshot));
    sample.enlisted_desktops = desktops.small(row);
    sample.enlisted_starts_total = starts.at(row);
    sample.enlisted_bytes = bytes.at(row);
  }
  return samples;
}

std::vector<KsmDecision> ksm_decisions_of(const Trace& trace) {
  const Column phase(trace, "decision_phase");
  const Column pages(trace, "decision_pages");
  const Column sleep(trace, "decision_sleep_ms");
  std::vector<KsmDecision> decisions;
  if (!phase.exists() || !pages.exists() || !sleep.exists()) return decisions;
  for (std::size_t row = 0; row < trace.rows.size(); ++row) {
    const auto last = static_cast<std::uint64_t>(KsmPhase::kRest);
    decisions.push_back({pages.at(row) > 0, pages.small(row), sleep.small(row),
                         static_cast<KsmPhase>(std::min(phase.at(row), last))});
  }
  return decisions;
}

}  // namespace panal::policy
