#pragma once

#include <nlohmann/json_fwd.hpp>

#include "engine/base/tree.h"
#include "engine/kernel/cgroup.h"
#include "runtime/node/host.h"

namespace panal::node {

/// The `host` part of `stats`: memory, pressure, and raw counters of CPUs, disks, links and the
/// kernel's objects, of which whoever asks twice makes rates. What cannot be read is left out. Some
/// twenty reads.
[[nodiscard]] nlohmann::json host_json(Host& host);

/// Of that the objects, {name, used, limit} each: what the kernel has a number of for all, the
/// desktops' and the host's together, and what their group may have of processes.
[[nodiscard]] nlohmann::json objects_json(const Tree& tree, const kernel::Cgroup& desktops);

}  // namespace panal::node
