#include "runtime/optimiser/profile_settings.h"

#include <algorithm>

#include "engine/policy/units.h"

namespace panal::optimiser {
namespace {

Enlist enlist_of(profile::Enlist enlist) {
  switch (enlist) {
    case profile::Enlist::kOff: return Enlist::kNobody;
    case profile::Enlist::kConsent: return Enlist::kConsenting;
    case profile::Enlist::kAll: return Enlist::kAll;
  }
  return Enlist::kNobody;
}

/// The hard limit stays what the desktop was started with: to lower it under a living session
/// could only kill.
Limits limits_of(const profile::ClassTuning& tuning) {
  Limits limits;
  limits.cpu_weight = tuning.cpu_weight;
  limits.cpu_quota_permille = tuning.cpu_quota_percent * 10;  // 0 lifts another class's
  return limits;
}

}  // namespace

Settings settings_of(const profile::Profile& profile, const NodeFacts& node) {
  Settings settings;
  settings.enlist = enlist_of(profile.ksm.enlist);
  settings.fixed_addresses = !profile.address_randomisation;
  settings.governor = profile.ksm.governor;
  settings.ksm.cap_cores = profile.ksm.max_cpu_percent / 100.0;
  settings.use_zero_pages = profile.ksm.use_zero_pages.value_or(false);

  const profile::Classes& classes = profile.classes;
  settings.idle_after = std::chrono::seconds{classes.idle.after_seconds};
  settings.shave_after = {
      {SessionClass::kIdle, std::chrono::seconds{classes.idle.shave_after_seconds}},
      {SessionClass::kDisconnected, std::chrono::seconds{classes.disconnected.shave_after_seconds}},
      {SessionClass::kFrozen, std::chrono::seconds{classes.frozen.shave_after_seconds}}};
  settings.shave = profile.zram.enabled;
  settings.shaver.freeze_after_ns = classes.frozen.after_seconds * policy::kSecond;
  settings.shaver.eagerness = profile.shave.eagerness_percent / 100.0;
  settings.shaver.order =
      profile.shave.merge_first ? policy::ShaveOrder::kKsmFirst : policy::ShaveOrder::kPageOutFirst;
  settings.shaver.reserve_bytes =
      node.memory_reserve_bytes > 0
          ? node.memory_reserve_bytes
          : std::max(node.memory_total_bytes / 100 * profile.reserve.memory_percent,
                     profile.reserve.memory_least_mib * policy::kMib);
  settings.limits = {{SessionClass::kActive, limits_of(classes.active)},
                     {SessionClass::kIdle, limits_of(classes.idle)},
                     {SessionClass::kDisconnected, limits_of(classes.disconnected)},
                     {SessionClass::kFrozen, limits_of(classes.frozen)}};
  return settings;
}

}  // namespace panal::optimiser
