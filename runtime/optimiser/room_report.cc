// What the gatekeeper tells of how many more fit.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "runtime/optimiser/gatekeeper.h"

namespace panal::optimiser {
namespace {

using nlohmann::json;

/// Starts that wait ask some times a second, and where there is no room each second or two.
constexpr MonotonicNs kAsksAgain = 5LL * 1'000'000'000;

/// null: nothing ends it.
json more_json(std::uint32_t more) { return more == policy::kNoEnd ? json(nullptr) : json(more); }

json resource_json(const policy::Resource& one) {
  json out = {{"name", one.name},   {"resource", policy::to_string(one.kind)},
              {"unit", one.unit},   {"used", one.used},
              {"limit", one.limit}, {"reserve", one.reserve}};
  if (!one.unknown.empty()) {
    out["unknown"] = one.unknown;
    return out;
  }
  out["each"] = one.cost.each;
  out["by"] = one.cost.measured ? "measurement" : "estimate";
  out["more"] = more_json(policy::fits(one));
  return out;
}

json capacity_json(const std::vector<policy::Resource>& all) {
  const policy::Capacity now = policy::capacity(all);
  json out = {{"more", more_json(now.more)}};
  if (now.first_out == SIZE_MAX) return out;
  out["first_out"] = all[now.first_out].name;
  out["by"] = now.measured ? "measurement" : "estimate";
  return out;
}

}  // namespace

std::string Gatekeeper::room() const {
  const auto all = resources({});
  const policy::Capacity now = policy::capacity(all);
  if (all.empty() || now.first_out == SIZE_MAX) return "not known yet";
  std::string images;
  if (census_.counts().size() > 1)
    for (const auto& [image, count] : census_.counts())
      if (!image.empty())
        images += fmt::format("{}{} {}", images.empty() ? "" : ", ", image,
                              policy::capacity(resources(image)).more);
  return fmt::format("{} more desktops fit, by {}; {} runs out first{}", now.more,
                     now.measured ? "what this node measured" : "estimate", all[now.first_out].name,
                     images.empty() ? "" : " (" + images + ")");
}

json Gatekeeper::report() const {
  const auto all = resources({});
  json out = capacity_json(all);
  // Who is not wanted any more does not ask again.
  if (!waits_.empty() && parts_.now() - asked_at_ns_ < kAsksAgain) out["waits"] = waits_;
  out["resources"] = json::array();
  for (const policy::Resource& one : all) out["resources"].push_back(resource_json(one));
  out["images"] = json::object();
  for (const auto& [image, count] : census_.counts()) {
    if (image.empty()) continue;
    const auto mine = resources(image);
    json one = capacity_json(mine);
    one["running"] = count;
    one["resources"] = json::object();
    for (const policy::Resource& each : mine)
      if (each.unknown.empty())
        one["resources"][each.name] = {{"each", each.cost.each},
                                       {"more", more_json(policy::fits(each))}};
    out["images"][image] = std::move(one);
  }
  return out;
}

}  // namespace panal::optimiser
