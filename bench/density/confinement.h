#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>

#include "engine/base/result.h"

namespace panal::bench {

struct ConfinementOptions {
  std::size_t count = 400;     ///< desktops that run while a lot is up
  std::size_t lot = 40;        ///< of them, started, measured and stopped in each arm
  unsigned pairs = 12;         ///< of arms, at most
  unsigned least_pairs = 10;   ///< fewer are no result
  unsigned rest_seconds = 10;  ///< held before a lot
  unsigned hold_seconds = 30;  ///< after it has settled; the second half counts for memory
  /// From the beginning on; no pair begins that would not end within it. 0: no limit.
  unsigned limit_seconds = 0;
};

/// What it costs to confine desktops: a node of IceWM desktops, of which all but a lot run all the
/// time, as they are before anybody comes (links, addresses, rules and all, and no session). Then
/// in turns panald is killed and the next one confines them (twenty policies of full_policies.h
/// dealt out, an uplink with NAT, nftables) or has no rules, no uplink, and policies of those names
/// that allow nothing (panald-open); a lot is started by one command, gets its clients, settles, is
/// held and stopped. Nothing else differs: the desktops, homes and programs are the same.
/// The result names:
///   count, lot, background, pairs, seconds
///   lots[]: LotCost, in order; ratios: ConfinementRatios
/// Errors: those of whatever did not work; ETIMEDOUT when the limit left too few pairs.
[[nodiscard]] Result<nlohmann::json> run_confinement(const ConfinementOptions& options);

}  // namespace panal::bench
