#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/memory.h"
#include "engine/policy/admission.h"
#include "runtime/metrics/net_figures.h"
#include "runtime/metrics/warm_figures.h"
#include "runtime/optimiser/figures.h"
#include "runtime/optimiser/resort_figures.h"
#include "runtime/optimiser/tally.h"

namespace panal::metrics {

/// What becomes of a desktop whose init ended by itself: `give_up` after the third end within 5
/// minutes, `killed` by the last resort; both are failed then.
inline constexpr std::array<std::string_view, 4> kExitVerdicts{"start_again", "give_up", "killed",
                                                               "not_wanted"};
/// What somebody who wanted in was told: `in_use` also when another one took over meanwhile,
/// `unavailable` when the desktop or its agent did not answer.
inline constexpr std::array<std::string_view, 4> kAttachAnswers{"granted", "in_use", "malformed",
                                                                "unavailable"};

/// All that a node's metrics are made of, gathered when somebody asks.
struct NodeFigures {
  std::string node, version;
  std::uint64_t cpu_ns = 0;                    ///< of panald, all its threads, since it began
  std::map<std::string, std::size_t> states;   ///< desktops by observed state
  std::map<std::string, std::size_t> tenants;  ///< running desktops by tenant
  std::optional<MemoryStatistics> desktops;    ///< the group that holds them all
  optimiser::StartTally starts;
  optimiser::Counts exits;                ///< kExitVerdicts
  std::uint64_t expired = 0;              ///< desktops started again for a newer version
  std::uint64_t homes_lost = 0;           ///< desktops that were ended for it
  bool disk_full = false;                 ///< the reserve was needed, and is not back
  optimiser::Counts attach_answers;       ///< kAttachAnswers
  std::size_t starting = 0, waiting = 0;  ///< desktops
  std::vector<policy::Resource> room;     ///< all that is counted; empty: not known yet
  optimiser::Figures optimiser;
  optimiser::ResortFigures resort;
  WarmFigures warm;
  NetFigures network;
};

}  // namespace panal::metrics
