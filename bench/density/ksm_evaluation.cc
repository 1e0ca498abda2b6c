#include "bench/density/ksm_evaluation.h"

#include <algorithm>

namespace panal::bench {
namespace {

constexpr double kReached = 0.9;
/// The share of the window that counts as its end: the last minute of fifteen.
constexpr double kEndShare = 1.0 / 15;

Result<KsmArmResult> look_at(const KsmArm& arm, double window) {
  KsmArmResult out;
  out.name = arm.name;
  const KsmPoint* first = nullptr;
  const KsmPoint* last = nullptr;
  double sum = 0;
  unsigned ends = 0;
  for (const KsmPoint& point : arm.points) {
    if (point.seconds < 0) {
      out.starts_cpu_seconds = point.ksmd_cpu_seconds;
      continue;
    }
    if (point.seconds > window) break;
    if (first == nullptr) first = &point;
    last = &point;
    out.best_profit_bytes = std::max(out.best_profit_bytes, point.profit_bytes);
    if (point.seconds < window * (1 - kEndShare)) continue;
    sum += point.profit_bytes;
    ++ends;
  }
  if (ends == 0)
    return fail(ENODATA, "arm " + arm.name + " was not sampled at the end of its window");
  out.final_profit_bytes = sum / ends;
  out.cpu_seconds = last->ksmd_cpu_seconds - first->ksmd_cpu_seconds;
  out.cow_pages = last->cow_pages - first->cow_pages;
  return out;
}

std::optional<double> time_until(const KsmArm& arm, double profit, double window) {
  for (const KsmPoint& point : arm.points)
    if (point.profit_bytes >= profit && point.seconds <= window)
      return std::max(1.0, point.seconds);
  return std::nullopt;
}

const KsmArmResult* find(const std::vector<KsmArmResult>& arms, const char* name) {
  const auto found =
      std::find_if(arms.begin(), arms.end(), [&](const auto& arm) { return arm.name == name; });
  return found == arms.end() ? nullptr : &*found;
}

}  // namespace

Result<KsmVerdict> evaluate_ksm(const std::vector<KsmArm>& arms, double window) {
  KsmVerdict out;
  for (const KsmArm& arm : arms) {
    PANAL_ASSIGN(auto one, look_at(arm, window));
    out.arms.push_back(std::move(one));
  }
  if (out.arms.empty()) return fail(ENODATA, "no arm has run");
  // An arm that did not begin within a short window says nothing of where the others end.
  for (const auto& arm : out.arms)
    if (arm.final_profit_bytes > 0)
      out.common_profit_bytes = out.common_profit_bytes > 0
                                    ? std::min(out.common_profit_bytes, arm.final_profit_bytes)
                                    : arm.final_profit_bytes;
  if (out.common_profit_bytes <= 0) return fail(ENODATA, "nothing was won by merging in any arm");
  for (std::size_t i = 0; i < arms.size(); ++i)
    out.arms[i].to_90_seconds = time_until(arms[i], kReached * out.common_profit_bytes, window);

  const KsmArmResult* best = nullptr;
  for (const auto& arm : out.arms)
    if (arm.name != kGovernorArm &&
        (best == nullptr || arm.final_profit_bytes > best->final_profit_bytes))
      best = &arm;
  const KsmArmResult* governor = find(out.arms, kGovernorArm);
  if (best == nullptr || governor == nullptr || best->final_profit_bytes <= 0) return out;
  out.best = best->name;
  out.profit_ratio = governor->final_profit_bytes / best->final_profit_bytes;
  if (best->cpu_seconds > 0) out.cpu_ratio = governor->cpu_seconds / best->cpu_seconds;
  const KsmArmResult* ksmtuned = find(out.arms, kKsmtunedArm);
  if (ksmtuned != nullptr && ksmtuned->to_90_seconds && governor->to_90_seconds)
    out.speedup = *ksmtuned->to_90_seconds / *governor->to_90_seconds;
  return out;
}

}  // namespace panal::bench
