#include "engine/policy/admission.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace panal::policy {
namespace {

double left(const Resource& resource) {
  return std::max(0.0, resource.limit - resource.reserve - resource.used);
}

std::string amount(const Resource& resource, double value) {
  if (resource.unit.empty()) {
    // Half a terminal each, in the mean.
    const bool part = value < 10 && std::abs(value - std::round(value)) > 0.05;
    return fmt::format("{:.{}f}", value, part ? 1 : 0);
  }
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

std::uint32_t fits(const Resource& resource) {
  if (!resource.unknown.empty() || !(resource.cost.each > 0)) return kNoEnd;
  // a sum of many roundings must not lose the last desktop
  const double whole = std::floor(left(resource) / resource.cost.each + 1e-9);
  return static_cast<std::uint32_t>(std::min<double>(kNoEnd, whole));
}

Capacity capacity(const std::vector<Resource>& resources) {
  Capacity result;
  result.more = kNoEnd;
  for (std::size_t i = 0; i < resources.size(); ++i) {
    const std::uint32_t here = fits(resources[i]);
    if (here >= result.more) continue;
    result.more = here;
    result.first_out = i;
    result.measured = resources[i].cost.measured;
  }
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

}  // namespace panal::policy
