#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "engine/model/limits.h"
#include "engine/model/session.h"
#include "engine/policy/ksm_governor.h"
#include "engine/policy/quiet.h"
#include "engine/policy/shaver.h"
#include "engine/policy/start_gate.h"

namespace panal::optimiser {

/// Whose desktops offer their memory to KSM.
enum class Enlist : std::uint8_t { kNobody, kConsenting, kAll };

/// What the optimiser may do on this node; a tuning profile says it (runtime/tuning). The default
/// does nothing but look: KSM is the machine's, and taking memory back is a choice.
struct Settings {
  Enlist enlist = Enlist::kNobody;
  bool fixed_addresses = false;  ///< ADDR_NO_RANDOMIZE for the enlisted
  bool governor = true;          ///< sets ksmd's pace; false: that is somebody else's
  policy::KsmGovernorConfig ksm;
  bool use_zero_pages = true;

  bool shave = false;
  policy::ShaverConfig shaver;
  policy::QuietConfig quiet;  ///< who is frozen after `shaver.freeze_quiet_after_ns`
  /// Place to which zram writes what lies long (ZramWriter), as the profile names it; empty: none.
  std::string zram_writeback;
  std::chrono::seconds zram_writeback_after{3600};
  std::uint64_t zram_writeback_bytes_per_day = 0;  ///< 0: no limit

  policy::StartGateConfig gate;

  std::chrono::seconds idle_after{300};
  /// Who is shown so much for a while is active without touching anything; 0: nobody.
  std::uint64_t active_bytes_per_second = 0;
  /// How long a desktop is of its class before anything is taken; 0: never. An absent class is
  /// taken from at once.
  std::map<SessionClass, std::chrono::seconds> shave_after;
  /// Absent ones are left as the desktop was started with.
  std::map<SessionClass, Limits> limits;

  [[nodiscard]] bool freezes() const {
    return shaver.freeze_after_ns > 0 || shaver.freeze_quiet_after_ns > 0;
  }
  [[nodiscard]] bool enlists() const { return enlist != Enlist::kNobody; }
  /// Desktops of a tenant that has agreed, or has not.
  [[nodiscard]] bool may_enlist(bool consent) const {
    return enlist == Enlist::kAll || (enlist == Enlist::kConsenting && consent);
  }
  [[nodiscard]] bool governs_ksm() const { return enlists() && governor; }
};

}  // namespace panal::optimiser
