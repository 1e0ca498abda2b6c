#pragma once

#include <chrono>
#include <string>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "netconfine/policy/compiled.h"

namespace panal::netconfine {

/// What became of a packet that was sent from inside a desktop.
struct ProbeResult {
  bool left = false;    ///< Panal's end of the desktop's link has seen it
  bool passed = false;  ///< it went out again, by another link
  std::string by;       ///< that link's name: "pnl9", the uplink
};

/// Sends the first packet of `flow` at the eth0 of the desktop `from`, below whatever rules it may
/// have of its own, and watches all links of Panal's namespace until it has passed or `patience` is
/// over. One that passes goes on to where it is addressed. Blocks; any thread.
/// Errors: ENODEV where a link is not there; those of packet(7) and setns(2).
[[nodiscard]] Result<ProbeResult> probe(const UniqueFd& panal_namespace,
                                        const UniqueFd& desktop_namespace, const Addresses& from,
                                        const Flow& flow, std::chrono::milliseconds patience);

}  // namespace panal::netconfine
