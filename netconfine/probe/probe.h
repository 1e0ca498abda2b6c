#pragma once

#include <chrono>
#include <string>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "netconfine/policy/compiled.h"

namespace panal::netconfine {

/// A packet that is sent from inside a desktop to see what becomes of it.
struct Probe {
  Addresses from;   ///< the desktop that sends
  Flow flow;        ///< with the desktop's own address as its source
  std::string out;  ///< the link in Panal's namespace that it must leave by: "pnl9", the uplink
};

struct ProbeResult {
  bool left = false;    ///< Panal's end of the desktop's link has seen it
  bool passed = false;  ///< it went out by `out`
};

/// Sends one packet at the desktop's eth0, below whatever rules it may have of its own, and watches
/// both links in Panal's namespace until it has passed or `patience` is over. It goes on to where
/// it is addressed. Blocks; any thread. Errors: ENODEV for a link that is not there; those of
/// packet(7).
[[nodiscard]] Result<ProbeResult> probe(const UniqueFd& panal_namespace,
                                        const UniqueFd& desktop_namespace, const Probe& probe,
                                        std::chrono::milliseconds patience);

}  // namespace panal::netconfine
