#include "netconfine/qos/shape_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace panal::netconfine {
namespace {

constexpr unsigned kTenantMinors = kLastTenantMinor - kFirstTenantMinor + 1U;

// FNV-1a, 32 bits: the same name tries the same number first on every run, so that a new panald
// finds nearly all tenants where the old one put them. (std::hash promises nothing.)
std::uint32_t hash_of(const std::string& name) {
  std::uint32_t hash = 2166136261U;
  for (const char c : name) hash = (hash ^ static_cast<std::uint8_t>(c)) * 16777619U;
  return hash;
}

}  // namespace

ShapePlan::ShapePlan(Direction direction, const LineLimits& line)
    : direction_(direction),
      line_bits_per_second_(direction == Direction::kSend ? line.send_bits_per_second
                                                          : line.receive_bits_per_second) {
  const auto root = root_class(line_bits_per_second_);
  classes_[root.minor] = root;
  const auto stray = stray_class();
  classes_[stray.minor] = stray;
}

std::uint64_t ShapePlan::rate_of(const NetLimits& limits) const {
  return direction_ == Direction::kSend ? limits.send_bits_per_second
                                        : limits.receive_bits_per_second;
}

bool ShapePlan::shapes(const Addresses& addresses) const {
  const auto minor = desktop_minor(addresses);
  return minor && classes_.contains(*minor);
}

Result<ShapePlan::Changes> ShapePlan::put(const ShapedDesktop& desktop) {
  const std::uint64_t own = rate_of(desktop.limits);
  const std::uint64_t shared = desktop.tenant.empty() ? 0 : rate_of(desktop.tenant_limits);
  const auto minor = desktop_minor(desktop.addresses);
  if (!minor) {
    // Who is bounded by nothing needs no number.
    if (own == 0 && shared == 0 && line_bits_per_second_ == 0) return Changes{};
    return tl::make_unexpected(minor.error());
  }
  if (!tenants_.contains(desktop.tenant)) {
    Minor number = 0;
    if (!desktop.tenant.empty()) {
      PANAL_ASSIGN(number, free_tenant_minor(desktop.tenant));
      tenant_minors_[number] = desktop.tenant;
    }
    tenants_[desktop.tenant].minor = number;
  }
  Changes changes;
  const auto was = tenant_of_.find(*minor);
  const bool moves = was != tenant_of_.end() && was->second != desktop.tenant;
  const std::string former = moves ? was->second : std::string();
  // The kernel cannot give a class another parent.
  if (moves) unset(*minor, changes);
  take_out(*minor);
  Tenant& tenant = tenants_[desktop.tenant];
  tenant.desktops[*minor] = desktop;
  if (shared != 0) tenant.rates.emplace(shared, desktop.tenant_limits.burst_bytes);
  tenant_of_[*minor] = desktop.tenant;
  if (moves) settle(former, 0, changes);
  settle(desktop.tenant, *minor, changes);
  return changes;
}

ShapePlan::Changes ShapePlan::remove(const Addresses& addresses) {
  Changes changes;
  const auto minor = desktop_minor(addresses);
  if (!minor) return changes;
  const auto was = tenant_of_.find(*minor);
  if (was == tenant_of_.end()) return changes;
  const std::string tenant = was->second;
  take_out(*minor);
  unset(*minor, changes);
  settle(tenant, 0, changes);
  return changes;
}

void ShapePlan::take_out(Minor minor) {
  const auto was = tenant_of_.find(minor);
  if (was == tenant_of_.end()) return;
  Tenant& tenant = tenants_[was->second];
  const auto desktop = tenant.desktops.find(minor);
  if (!was->second.empty()) {
    const auto asked = tenant.rates.find(
        {rate_of(desktop->second.tenant_limits), desktop->second.tenant_limits.burst_bytes});
    if (asked != tenant.rates.end()) tenant.rates.erase(asked);
  }
  tenant.desktops.erase(desktop);
  tenant_of_.erase(was);
}

Result<Minor> ShapePlan::free_tenant_minor(const std::string& name) const {
  const unsigned first = hash_of(name) % kTenantMinors;
  for (unsigned i = 0; i < kTenantMinors; ++i) {
    const auto minor = static_cast<Minor>(kFirstTenantMinor + (first + i) % kTenantMinors);
    if (!tenant_minors_.contains(minor)) return minor;
  }
  return fail(ENOSPC, fmt::format("tenant {}: only {} tenants of a node can have rates", name,
                                  kTenantMinors));
}

void ShapePlan::settle(const std::string& name, Minor only, Changes& changes) {
  Tenant& tenant = tenants_[name];
  const std::optional<ShapeClass> before =
      classes_.contains(tenant.minor) ? std::optional(classes_[tenant.minor]) : std::nullopt;
  std::optional<ShapeClass> after;
  if (!tenant.rates.empty()) {
    const auto& [rate, burst] = *tenant.rates.begin();
    constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();
    after = tenant_class(tenant.minor, rate, static_cast<std::uint32_t>(std::min(burst, kMost)));
  }
  const ShapeClass root = classes_[kRootMinor];
  const ShapeClass& parent = after ? *after : root;
  const auto settle_one = [&](Minor minor, const ShapedDesktop& desktop) {
    const std::uint64_t own = rate_of(desktop.limits);
    if (own == 0 && !after && line_bits_per_second_ == 0) {
      unset(minor, changes);
    } else {
      set(desktop_class(minor, parent, own, desktop.limits.burst_bytes, desktop.session), changes);
    }
  };
  // Whose parent comes or goes is made anew; the tenant's class stands before and after its
  // children.
  if (before.has_value() != after.has_value()) {
    for (const auto& [minor, desktop] : tenant.desktops) unset(minor, changes);
  }
  if (after) set(*after, changes);
  if (before == after) {
    const auto desktop = tenant.desktops.find(only);
    if (desktop != tenant.desktops.end()) settle_one(only, desktop->second);
  } else {
    for (const auto& [minor, desktop] : tenant.desktops) settle_one(minor, desktop);
  }
  if (before && !after) unset(tenant.minor, changes);
  if (tenant.desktops.empty()) {
    tenant_minors_.erase(tenant.minor);
    tenants_.erase(name);
  }
}

void ShapePlan::set(const ShapeClass& shape, Changes& changes) {
  const auto was = classes_.find(shape.minor);
  if (was != classes_.end() && was->second == shape) return;
  classes_[shape.minor] = shape;
  changes.put.push_back(shape);
}

void ShapePlan::unset(Minor minor, Changes& changes) {
  const auto was = classes_.find(minor);
  if (was == classes_.end()) return;
  changes.gone.push_back(was->second);
  classes_.erase(was);
}

}  // namespace panal::netconfine
