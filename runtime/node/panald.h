#pragma once

#include "netconfine/network.h"

namespace panal::node {

/// The program panald: options, checks, namespaces, then Node. `firewall`: for measurements, in
/// place of the one that the configuration names. Exit codes: 0 asked to end, 1 failed, 2 wrong
/// usage.
[[nodiscard]] int panald_main(int argc, char** argv, const netconfine::OpenBackend& firewall = {});

}  // namespace panal::node
