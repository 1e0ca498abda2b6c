#include "runtime/optimiser/figures.h"

#include "runtime/optimiser/optimiser.h"

namespace panal::optimiser {

Figures Optimiser::figures() const {
  Figures out;
  const std::lock_guard lock(mutex_);
  out.tally = totals_;
  out.host = host_;
  out.governs_ksm = settings_.governs_ksm() && !ksm_taken_over_;
  out.ksm_taken_over = ksm_taken_over_;
  out.ksm = ksm_decision_;
  out.domain_held = places_.holder().has_value();
  out.domain_drains = places_.draining();
  for (const auto& [id, desk] : desks_) {
    ++out.desktops[index_of(desk->last.session)];
    if (desk->enlisted) ++out.enlisted;
  }
  return out;
}

std::vector<GroupSnapshot> Optimiser::last_seen() const {
  std::vector<GroupSnapshot> out;
  const std::lock_guard lock(mutex_);
  out.reserve(desks_.size());
  for (const auto& [id, desk] : desks_) out.push_back(desk->last);
  return out;
}

}  // namespace panal::optimiser
