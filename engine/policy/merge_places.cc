#include "engine/policy/merge_places.h"

#include <algorithm>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

/// Of a new measurement, one a second: a minute or so decides.
constexpr double kNewestWeight = 0.02;

}  // namespace

std::string_view to_string(MergeAnswer answer) {
  switch (answer) {
    case MergeAnswer::kGiven: return "given";
    case MergeAnswer::kNoConsent: return "no_consent";
    case MergeAnswer::kOtherDomain: return "other_domain";
    case MergeAnswer::kDraining: return "draining";
  }
  return "other_domain";
}

void MergePlaces::demand(const std::vector<MergeDemand>& all) {
  for (auto& [id, domain] : domains_) domain.wanted = 0;
  for (const MergeDemand& one : all) {
    Domain& domain = domains_[one.id];
    domain.wanted = one.desktops;
    if (!domain.asked) domain.agreed = one.agreed;
  }
}

MergeAnswer MergePlaces::ask(DesktopId id, const MergeDomainId& domain, bool agreed,
                             MonotonicNs now_ns) {
  Domain& its = domains_[domain];
  its.agreed = agreed;
  its.asked = true;
  // Whoever starts has no former processes, whatever was known of them.
  Place& place = desktops_[id] = Place{domain};
  const MergeDomainDecision decision = look(now_ns);
  if (!agreed) return MergeAnswer::kNoConsent;
  if (decision.draining) return MergeAnswer::kDraining;
  if (decision.enlist != domain) return MergeAnswer::kOtherDomain;
  place.enlisted = true;
  return MergeAnswer::kGiven;
}

void MergePlaces::started(DesktopId id, const MergeDomainId& domain, bool enlisted) {
  domains_.try_emplace(domain);
  desktops_[id] = Place{domain, enlisted, true};
}

void MergePlaces::ended(DesktopId id) {
  const auto found = desktops_.find(id);
  if (found == desktops_.end()) return;
  if (!found->second.enlisted) {
    desktops_.erase(found);
    return;
  }
  found->second.running = false;
  found->second.leaving = true;
}

void MergePlaces::not_started(DesktopId id) {
  const auto found = desktops_.find(id);
  if (found != desktops_.end() && !found->second.running) ended(id);
}

std::vector<DesktopId> MergePlaces::leaving() const {
  std::vector<DesktopId> ids;
  for (const auto& [id, place] : desktops_)
    if (place.leaving) ids.push_back(id);
  return ids;
}

std::vector<MergeDomain> MergePlaces::domains() const {
  std::map<MergeDomainId, std::uint32_t> known;
  std::map<MergeDomainId, std::uint32_t> enlisted;
  for (const auto& [id, place] : desktops_) {
    if (!place.leaving) ++known[place.domain];
    if (place.enlisted) ++enlisted[place.domain];
  }
  std::vector<MergeDomain> out;
  for (const auto& [id, domain] : domains_) {
    const double desktops = std::max(known[id], domain.wanted);
    const double each = domain.bytes_each.value_or(kGuessBytes);
    out.push_back({id, domain.agreed, enlisted[id], whole(desktops * each)});
  }
  return out;
}

void MergePlaces::measured(std::int64_t profit_bytes) {
  const Place* first = nullptr;
  std::uint32_t enlisted = 0;
  for (const auto& [id, place] : desktops_) {
    if (!place.enlisted) continue;
    // Of several at once nobody can say whose it is.
    if (first != nullptr && first->domain != place.domain) return;
    first = &place;
    ++enlisted;
  }
  if (first == nullptr) return;
  const double each = std::max(kLeastBytes, static_cast<double>(profit_bytes) / enlisted);
  std::optional<double>& known = domains_[first->domain].bytes_each;
  known = known ? *known + kNewestWeight * (each - *known) : each;
}

MergeDomainDecision MergePlaces::look(MonotonicNs now_ns) {
  const std::vector<MergeDomain> all = domains();
  last_ = arbiter_.decide(now_ns, all);
  holder_ = last_.enlist;
  for (const MergeDomain& domain : all)
    if (domain.enlisted > 0) holder_ = domain.id;  // also while it drains
  return last_;
}

}  // namespace panal::policy
