#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "engine/model/memory.h"
#include "engine/policy/admission.h"
#include "runtime/optimiser/figures.h"
#include "runtime/optimiser/tally.h"

namespace panal::metrics {

/// All that a node's metrics are made of, gathered when somebody asks.
struct NodeFigures {
  std::string node, version;
  std::uint64_t cpu_ns = 0;                    ///< of panald, all its threads, since it began
  std::map<std::string, std::size_t> states;   ///< desktops by observed state
  std::map<std::string, std::size_t> tenants;  ///< running desktops by tenant
  std::optional<MemoryStatistics> desktops;    ///< the group that holds them all
  optimiser::StartTally starts;
  std::size_t starting = 0, waiting = 0;  ///< desktops
  policy::Capacity room;
  optimiser::Figures optimiser;
};

}  // namespace panal::metrics
