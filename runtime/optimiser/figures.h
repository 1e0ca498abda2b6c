#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "engine/model/decision.h"
#include "engine/model/snapshot.h"
#include "runtime/optimiser/tally.h"

namespace panal::optimiser {

/// What the optimiser decided and what it last saw, as plain values: a copy of what it holds, made
/// without reading anything from the kernel.
struct Figures {
  Tally tally;
  Snapshot host;                ///< of the last look, a second old; at_ns 0: there was none yet
  bool governs_ksm = false;     ///< the profile wants it, and nobody else has taken it over
  bool ksm_taken_over = false;  ///< KSM's settings are somebody else's: nobody is enlisted
  KsmDecision ksm;              ///< the governor's last
  std::array<std::size_t, kSessionClasses> desktops{};  ///< by class
  std::size_t enlisted = 0;                             ///< desktops in KSM
  ProgramTally programs;  ///< the learner's; whoever asks for these figures adds it
  std::optional<std::uint64_t> zram_written_back_bytes;  ///< added likewise; none: it is not done
  bool domain_held = false;                              ///< a merge domain has the place in KSM
  bool domain_drains = false;  ///< nobody is enlisted until the last of them is gone
};

}  // namespace panal::optimiser
