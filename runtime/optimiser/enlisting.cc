// Whose desktops offer their memory to KSM.
#include <algorithm>
#include <utility>

#include "runtime/optimiser/optimiser.h"

namespace panal::optimiser {

namespace {

std::string name_of(const std::optional<MergeDomainId>& domain) {
  return domain ? domain->tenant + "/" + domain->trust : "nobody";
}

}  // namespace

void Optimiser::expect(std::vector<policy::MergeDemand> all) {
  for (policy::MergeDemand& one : all) one.agreed = settings_.may_enlist(one.agreed);
  const std::lock_guard lock(mutex_);
  places_.demand(all);
}

bool Optimiser::enlist(DesktopId id, const MergeDomainId& domain, bool consent) {
  const std::lock_guard lock(mutex_);
  if (!settings_.enlists()) {
    ++totals_.enlist_refused["not_allowed"];
    return false;
  }
  // Nobody knows what it brings, or whether it is merged at all; and it has its price.
  if (ksm_taken_over_) {
    ++totals_.enlist_refused["taken_over"];
    return false;
  }
  release_gone_places();
  const auto answer = places_.ask(id, domain, settings_.may_enlist(consent), monotonic_ns());
  if (answer == policy::MergeAnswer::kGiven) {
    ++totals_.enlisted;
    return true;
  }
  const std::string why(to_string(answer));
  ++totals_.enlist_refused[why];
  parts_.log->info("not_merged", {{"desktop", kernel_name(id)},
                                  {"domain", name_of(domain)},
                                  {"why", why},
                                  {"merged", name_of(places_.holder())}});
  return false;
}

/// A desktop that is being stopped has its processes, and their merged pages, for some time.
void Optimiser::release_gone_places() {
  for (const DesktopId id : places_.leaving())
    if (!kernel::Cgroup::open(parts_.cgroups, parts_.cgroup_parent + "/" + kernel_name(id)))
      places_.gone(id);
}

void Optimiser::weigh_domains(const Snapshot& host) {
  const std::lock_guard lock(mutex_);
  release_gone_places();
  const std::uint64_t passes = host.ksm ? host.ksm->full_scans_total : 0;
  const bool settled = std::all_of(desks_.begin(), desks_.end(), [passes](const auto& entry) {
    const Desk& desk = *entry.second;
    return !desk.enlisted || passes >= desk.passes_at_start + kPassesToSettle;
  });
  if (host.ksm && settled) places_.measured(host.ksm->general_profit_bytes);
  (void)places_.look(host.at_ns);
  const auto& holder = places_.holder();
  const bool same = !holder || holder == told_holder_;
  if (same && places_.draining() == told_draining_) return;
  if (told_holder_ && holder && holder != told_holder_) ++totals_.domain_changes;
  told_draining_ = places_.draining();
  if (holder) told_holder_ = holder;  // between two of them nobody has it
  parts_.log->info("merge_domain",
                   {{"merged", name_of(holder)}, {"drains", told_draining_ ? "yes" : "no"}});
}

}  // namespace panal::optimiser
