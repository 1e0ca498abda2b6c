#include "engine/policy/admission.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/base/arithmetic.h"

namespace panal::policy {
namespace {

constexpr double kNoEnd = 1'000'000;
constexpr double kGrowthPercentile = 95;

double left(const Resource& resource) {
  return std::max(0.0, resource.limit - resource.reserve - resource.used);
}

/// How many more fit into one resource.
double fits(const Resource& resource) {
  if (!(resource.cost.each > 0)) return kNoEnd;
  // a sum of many roundings must not lose the last desktop
  return std::min(kNoEnd, std::floor(left(resource) / resource.cost.each + 1e-9));
}

std::string amount(const Resource& resource, double value) {
  if (resource.unit.empty()) return fmt::format("{:.0f}", value);
  const int digits = std::abs(value) >= 100 ? 0 : std::abs(value) >= 1 ? 1 : 4;
  return fmt::format("{:.{}f} {}", value, digits, resource.unit);
}

}  // namespace

std::string_view to_string(ResourceKind kind) {
  switch (kind) {
    case ResourceKind::kMemory: return "memory";
    case ResourceKind::kIo: return "io";
    case ResourceKind::kCpu: return "cpu";
    case ResourceKind::kNetwork: return "network";
    case ResourceKind::kKernelObjects: return "kernel";
  }
  return "memory";
}

Capacity capacity(const std::vector<Resource>& resources) {
  Capacity result;
  double most = kNoEnd;
  for (std::size_t i = 0; i < resources.size(); ++i) {
    const double here = fits(resources[i]);
    if (here >= most) continue;
    most = here;
    result.first_out = i;
    result.measured = resources[i].cost.measured;
  }
  result.more = static_cast<std::uint32_t>(most);
  return result;
}

std::string refusal(std::string_view image, const std::vector<Resource>& resources) {
  const Capacity now = capacity(resources);
  if (now.more > 0 || now.first_out == SIZE_MAX) return {};
  const Resource& resource = resources[now.first_out];
  return fmt::format(
      "no room for another desktop of image {}: it takes {} of {} ({}), {} of {} are left beside "
      "the reserve of {}",
      image, amount(resource, resource.cost.each), resource.name,
      now.measured ? "measured" : "estimated", amount(resource, left(resource)),
      amount(resource, resource.limit), amount(resource, resource.reserve));
}

std::string room(std::string_view image, const std::vector<Resource>& resources) {
  const Capacity now = capacity(resources);
  if (now.first_out == SIZE_MAX)
    return fmt::format("nothing is known to limit desktops of image {}", image);
  return fmt::format("{} more desktop{} of image {} fit{}; {} runs out first", now.more,
                     now.more == 1 ? "" : "s", image, now.more == 1 ? "s" : "",
                     resources[now.first_out].name);
}

double growth_reserve(std::vector<double> growths, std::size_t active) {
  return std::max(0.0, percentile(std::move(growths), kGrowthPercentile)) *
         static_cast<double>(active);
}

}  // namespace panal::policy
