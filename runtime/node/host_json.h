#pragma once

#include <nlohmann/json_fwd.hpp>

#include "runtime/node/host.h"

namespace panal::node {

/// The `host` part of `stats`: memory, pressure, and raw counters of CPUs, disks, links and the
/// kernel's objects, of which whoever asks twice makes rates. What cannot be read is left out. Some
/// twenty reads.
[[nodiscard]] nlohmann::json host_json(Host& host);

}  // namespace panal::node
