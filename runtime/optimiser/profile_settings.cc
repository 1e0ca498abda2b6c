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

Swapping swapping_of(const profile::ClassTuning& tuning) {
  if (!tuning.swap) return Swapping::kNever;
  return tuning.spared ? Swapping::kLast : Swapping::kUsual;
}

/// What any class says: only that is set, and then in every class, so that one takes back what
/// another has set.
struct Said {
  bool hard = false, soft = false, swapping = false, pids = false, io_weight = false, io = false;
};

Said said_by(const profile::Classes& classes) {
  const profile::ClassTuning usual;
  Said said;
  for (const profile::ClassTuning* one :
       {&classes.active, &classes.idle, &classes.disconnected, &classes.frozen}) {
    said.hard |= one->memory_hard_percent != usual.memory_hard_percent;
    said.soft |= one->memory_soft_percent != usual.memory_soft_percent;
    said.swapping |= swapping_of(*one) != swapping_of(usual);
    said.pids |= one->pids_percent != usual.pids_percent;
    said.io_weight |= one->io_weight != usual.io_weight;
    said.io |= one->io_read_mib_per_second != 0 || one->io_write_mib_per_second != 0;
  }
  return said;
}

Limits limits_of(const profile::ClassTuning& tuning, const Said& said, const NodeFacts& node) {
  Limits limits;
  limits.cpu_weight = tuning.cpu_weight;
  limits.cpu_quota_permille = tuning.cpu_quota_percent * 10;  // 0 lifts another class's
  if (said.hard && node.desktop_memory_bytes > 0)
    limits.memory_bytes = node.desktop_memory_bytes / 100 * tuning.memory_hard_percent;
  if (said.soft && node.desktop_memory_bytes > 0)
    limits.memory_soft_bytes = tuning.memory_soft_percent == 0
                                   ? kUnlimited
                                   : node.desktop_memory_bytes / 100 * tuning.memory_soft_percent;
  if (said.swapping) limits.swapping = swapping_of(tuning);
  if (said.pids && node.desktop_pids > 0)
    limits.pids = std::max<std::uint64_t>(1, node.desktop_pids * tuning.pids_percent / 100);
  if (said.io_weight) limits.io_weight = tuning.io_weight;
  if (said.io && !node.disk.empty())
    limits.io = IoLimit{node.disk, tuning.io_read_mib_per_second * policy::kMib,
                        tuning.io_write_mib_per_second * policy::kMib};
  return limits;
}

policy::StartGateConfig gate_of(const profile::Gate& gate) {
  const auto share = [](std::uint32_t percent) { return percent / 100.0; };
  policy::StartGateConfig config;
  config.memory_some = share(gate.memory_some_percent);
  config.memory_full = share(gate.memory_full_percent);
  config.io_some = share(gate.io_some_percent);
  config.io_full = share(gate.io_full_percent);
  config.cpu_some = share(gate.cpu_some_percent);
  config.runnable_per_core = gate.runnable_per_core;
  config.first_window = gate.parallel_starts;
  return config;
}

}  // namespace

bool limits_io(const profile::Profile& profile) { return said_by(profile.classes).io; }

Settings settings_of(const profile::Profile& profile, const NodeFacts& node) {
  Settings settings;
  settings.enlist = enlist_of(profile.ksm.enlist);
  settings.fixed_addresses = !profile.address_randomisation;
  settings.governor = profile.ksm.governor;
  settings.ksm.cap_cores = profile.ksm.max_cpu_percent / 100.0;
  settings.use_zero_pages = profile.ksm.use_zero_pages.value_or(false);

  settings.gate = gate_of(profile.gate);

  const profile::Classes& classes = profile.classes;
  settings.idle_after = std::chrono::seconds{classes.idle.after_seconds};
  settings.active_bytes_per_second = classes.active.active_bytes_per_second;
  settings.shave_after = {
      {SessionClass::kIdle, std::chrono::seconds{classes.idle.shave_after_seconds}},
      {SessionClass::kDisconnected, std::chrono::seconds{classes.disconnected.shave_after_seconds}},
      {SessionClass::kFrozen, std::chrono::seconds{classes.frozen.shave_after_seconds}}};
  settings.shave = profile.zram.enabled || profile.zswap.enabled.value_or(false);
  if (profile.zram.enabled) settings.zram_writeback = profile.zram.writeback;
  settings.zram_writeback_after = std::chrono::seconds{profile.zram.writeback_after_seconds};
  settings.zram_writeback_bytes_per_day =
      std::uint64_t{profile.zram.writeback_mib_per_day} * policy::kMib;
  settings.shaver.freeze_after_ns = classes.frozen.after_seconds * policy::kSecond;
  settings.shaver.freeze_quiet_after_ns = classes.frozen.quiet_after_seconds * policy::kSecond;
  settings.quiet.cpu_cores = classes.frozen.quiet_cpu_permille / 1000.0;
  settings.quiet.bytes_per_second = classes.frozen.quiet_bytes_per_second;
  settings.shaver.eagerness = profile.shave.eagerness_percent / 100.0;
  settings.shaver.order =
      profile.shave.merge_first ? policy::ShaveOrder::kKsmFirst : policy::ShaveOrder::kPageOutFirst;
  settings.shaver.reserve_bytes =
      node.memory_reserve_bytes > 0
          ? node.memory_reserve_bytes
          : std::max(node.memory_total_bytes / 100 * profile.reserve.memory_percent,
                     profile.reserve.memory_least_mib * policy::kMib);
  const Said said = said_by(classes);
  settings.limits = {{SessionClass::kActive, limits_of(classes.active, said, node)},
                     {SessionClass::kIdle, limits_of(classes.idle, said, node)},
                     {SessionClass::kDisconnected, limits_of(classes.disconnected, said, node)},
                     {SessionClass::kFrozen, limits_of(classes.frozen, said, node)}};
  return settings;
}

}  // namespace panal::optimiser
