// What the reconcile loop counts and can tell about itself.
#include <utility>

#include "runtime/node/reconciler.h"

namespace panal::node {

/// It asks ten times a second: what counts is that it had to wait for this, and once.
void Reconciler::count_wait(Entry& entry, const optimiser::StartWait& wait) {
  if (!entry.waits_for.emplace(wait.no_room, wait.resource).second) return;
  ++(wait.no_room ? starts_.refused : starts_.made_to_wait)[std::string(wait.resource)];
}

std::vector<const store::Desktop*> Reconciler::rows() const {
  std::vector<const store::Desktop*> rows;
  rows.reserve(entries_.size());
  for (const auto& [id, entry] : entries_)
    if (entry.known) rows.push_back(&entry.row);
  return rows;
}

std::map<std::string, std::size_t> Reconciler::states() const {
  std::map<std::string, std::size_t> counts;
  for (const auto& [id, entry] : entries_)
    if (entry.known) ++counts[std::string(store::to_string(entry.row.observed))];
  return counts;
}

std::map<std::string, std::size_t> Reconciler::running_by_tenant() const {
  std::map<std::string, std::size_t> counts;
  for (const auto& [id, entry] : entries_)
    if (entry.held) ++counts[entry.held->started.spec.user.tenant];
  return counts;
}

}  // namespace panal::node
