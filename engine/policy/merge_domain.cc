#include "engine/policy/merge_domain.h"

#include <algorithm>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

const MergeDomain* find(const std::vector<MergeDomain>& domains,
                        const std::optional<MergeDomainId>& id) {
  if (!id) return nullptr;
  const auto found = std::find_if(domains.begin(), domains.end(),
                                  [&](const MergeDomain& domain) { return domain.id == *id; });
  return found == domains.end() ? nullptr : &*found;
}

/// The domain that saves most; among equals the first by name, so that a restart decides alike.
const MergeDomain* best_of(const std::vector<MergeDomain>& domains) {
  const MergeDomain* best = nullptr;
  for (const MergeDomain& domain : domains) {
    if (!domain.agreed || domain.expected_bytes == 0) continue;
    if (best == nullptr || domain.expected_bytes > best->expected_bytes ||
        (domain.expected_bytes == best->expected_bytes && domain.id < best->id))
      best = &domain;
  }
  return best;
}

}  // namespace

MergeDomainDecision MergeDomainArbiter::decide(MonotonicNs now_ns,
                                               const std::vector<MergeDomain>& domains) {
  // Whoever has enlisted processes holds the place, also after a restart of this program.
  std::vector<const MergeDomain*> holders;
  for (const MergeDomain& domain : domains)
    if (domain.enlisted > 0) holders.push_back(&domain);
  const MergeDomain* best = best_of(domains);
  if (holders.size() > 1) return {std::nullopt, true};  // must not be: let all of them drain
  if (holders.empty()) {
    // Nobody to wait for: whoever saves most, but the former one among near equals.
    const MergeDomain* held = find(domains, current_);
    const bool keep = held != nullptr && best != nullptr && held->agreed &&
                      real(best->expected_bytes) < kWorthSwitching * real(held->expected_bytes);
    rival_.reset();
    current_.reset();
    if (best != nullptr) current_ = keep ? held->id : best->id;
    return {current_, false};
  }
  const MergeDomain& holder = *holders.front();
  current_ = holder.id;
  const bool beaten = best != nullptr && best->id != holder.id &&
                      real(best->expected_bytes) >=
                          kWorthSwitching * real(std::max<std::uint64_t>(1, holder.expected_bytes));
  if (!beaten) {
    rival_.reset();
  } else if (!rival_ || *rival_ != best->id) {
    rival_ = best->id;
    rival_since_ns_ = now_ns;
  }
  // An agreement taken back is respected at once.
  if (!holder.agreed || (rival_ && now_ns - rival_since_ns_ >= kSwitchAfter))
    return {std::nullopt, true};
  return {holder.id, false};
}

}  // namespace panal::policy
