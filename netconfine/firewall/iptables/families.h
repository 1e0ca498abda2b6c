#pragma once

#include <cstdint>
#include <map>

#include "engine/model/ids.h"
#include "netconfine/policy/compiled.h"

namespace panal::netconfine {

enum class IpFamily : std::uint8_t { kIpv4, kIpv6 };

/// Desktops with their rules, by id.
using Senders = std::map<DesktopId, Sender>;

}  // namespace panal::netconfine
