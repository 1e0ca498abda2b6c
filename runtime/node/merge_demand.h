#pragma once

#include <vector>

#include "engine/policy/merge_places.h"
#include "runtime/store/store.h"

namespace panal::node {

/// The desktops that are wanted on a node and have not failed, by merge domain. `agreed` is their
/// tenant's answer, whatever the profile makes of it. A domain of which none is wanted is there
/// too: what its tenant says now holds for those that still run.
[[nodiscard]] std::vector<policy::MergeDemand> merge_demand(
    const std::vector<const store::Desktop*>& rows);

}  // namespace panal::node
