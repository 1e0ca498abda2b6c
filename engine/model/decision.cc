#include "engine/model/decision.h"

namespace panal {

std::string_view to_string(KsmPhase phase) {
  switch (phase) {
    case KsmPhase::kOff: return "off";
    case KsmPhase::kStorm: return "storm";
    case KsmPhase::kBurst: return "burst";
    case KsmPhase::kProbe: return "probe";
    case KsmPhase::kFollow: return "follow";
    case KsmPhase::kRest: return "rest";
  }
  return "off";
}

std::string_view to_string(ShaveReason reason) {
  switch (reason) {
    case ShaveReason::kTaken: return "taken";
    case ShaveReason::kActive: return "active";
    case ShaveReason::kAtFloor: return "at_floor";
    case ShaveReason::kWaitsForKsm: return "waits_for_ksm";
    case ShaveReason::kPressure: return "pressure";
    case ShaveReason::kRefaults: return "refaults";
    case ShaveReason::kNoYield: return "no_yield";
    case ShaveReason::kNoSwapRoom: return "no_swap_room";
    case ShaveReason::kNotNeeded: return "not_needed";
    case ShaveReason::kNextTime: return "next_time";
    case ShaveReason::kLongAway: return "long_away";
    case ShaveReason::kQuiet: return "quiet";
  }
  return "taken";
}

std::string_view to_string(LastResort step) {
  switch (step) {
    case LastResort::kNone: return "none";
    case LastResort::kReclaim: return "reclaim";
    case LastResort::kFreeze: return "freeze";
    case LastResort::kRefuse: return "refuse";
    case LastResort::kKillProcess: return "kill_process";
    case LastResort::kKillDesktop: return "kill_desktop";
  }
  return "none";
}

}  // namespace panal
