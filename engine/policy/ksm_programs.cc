#include "engine/policy/ksm_programs.h"

#include <algorithm>

namespace panal::policy {
namespace {

/// Weight of a new observation: some ten processes decide, not one.
constexpr double kWeight = 0.2;

}  // namespace

void KsmPrograms::observe(std::string_view program, const KsmProcess& process, std::uint64_t passes,
                          MonotonicNs now_ns) {
  if (passes < kPassesBeforeJudgement || !process.merge_any) return;
  auto found = all_.find(program);
  if (found == all_.end()) {
    if (all_.size() >= kMost)
      all_.erase(std::min_element(all_.begin(), all_.end(), [](const auto& a, const auto& b) {
        return a.second.seen_ns < b.second.seen_ns;
      }));
    found = all_.emplace(program, KsmProgram{}).first;
  }
  KsmProgram& known = found->second;
  const auto profit = static_cast<double>(process.profit_bytes);
  known.seen_ns = now_ns;
  // The first of a trial stands alone: what was learned before is what is being doubted.
  const bool trial = known.left_out || known.samples == 0;
  known.profit_bytes =
      trial ? profit : known.profit_bytes + kWeight * (profit - known.profit_bytes);
  ++known.samples;
  if (known.left_out) {
    if (profit <= kWin) return;
    known = KsmProgram{profit, 1, 0, false, 0, 0, now_ns};
    return;
  }
  known.losses = known.profit_bytes < kLoss ? known.losses + 1 : 0;
  if (known.losses < kLosses) return;
  known.left_out = true;
  known.losses = 0;
  known.starts_left_out = 0;
  known.retry_after = kFirstRetry;
}

bool KsmPrograms::enlist(std::string_view program) {
  const auto found = all_.find(program);
  if (found == all_.end() || !found->second.left_out) return true;
  KsmProgram& known = found->second;
  if (++known.starts_left_out < known.retry_after) return false;
  known.starts_left_out = 0;
  known.retry_after = std::min(known.retry_after * 2, kLastRetry);
  return true;
}

}  // namespace panal::policy
