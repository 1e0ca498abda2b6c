#include "runtime/node/merge_demand.h"

#include <map>

namespace panal::node {

std::vector<policy::MergeDemand> merge_demand(const std::vector<const store::Desktop*>& rows) {
  std::map<MergeDomainId, policy::MergeDemand> domains;
  for (const store::Desktop* row : rows) {
    const MergeDomainId id{row->tenant, row->trust};
    policy::MergeDemand& one = domains.try_emplace(id, policy::MergeDemand{id}).first->second;
    one.agreed = row->share_memory;
    const bool wanted =
        row->desired == store::Desired::kRunning && row->observed != store::Observed::kFailed;
    if (wanted) ++one.desktops;
  }
  std::vector<policy::MergeDemand> out;
  for (const auto& [id, one] : domains) out.push_back(one);
  return out;
}

}  // namespace panal::node
