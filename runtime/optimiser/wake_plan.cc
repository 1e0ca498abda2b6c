#include "runtime/optimiser/wake_plan.h"

namespace panal::optimiser {

std::string_view to_string(Prefetch prefetch) {
  switch (prefetch) {
    case Prefetch::kRecorded: return "recorded";
    case Prefetch::kDrawing: return "drawing";
    case Prefetch::kNothing: return "nothing";
  }
  return "unknown";
}

std::optional<Prefetch> parse_prefetch(std::string_view word) {
  for (const Prefetch one : {Prefetch::kRecorded, Prefetch::kDrawing, Prefetch::kNothing})
    if (word == to_string(one)) return one;
  return std::nullopt;
}

WakePlan plan_wake(Prefetch prefetch, std::shared_ptr<const HotMemory> known,
                   double bytes_per_second) {
  WakePlan plan;
  plan.fetches = prefetch != Prefetch::kNothing;
  if (prefetch != Prefetch::kRecorded) return plan;
  if (!known) {
    plan.fetches_rest = false;
    return plan;
  }
  policy::ReconnectInput input;
  input.recorded = recorded_ranges(*known);
  input.bytes_per_second = bytes_per_second;
  plan.ranges = policy::plan_reconnect(input);
  plan.hot = std::move(known);
  return plan;
}

Result<Fetched> fetch(const Tree& tree, const kernel::Cgroup& group, const WakePlan& plan,
                      FetchPart part, const FetchBudget& budget) {
  if (!plan.fetches || (part == FetchPart::kRest && !plan.fetches_rest))
    return Fetched{.complete = true};
  if (!plan.hot) return fetch_back(tree, group, part, budget);
  return fetch_ranges(
      tree, group, *plan.hot,
      part == FetchPart::kDisplay ? plan.ranges.before_thaw : plan.ranges.after_thaw, budget);
}

}  // namespace panal::optimiser
