#pragma once

#include <cstdint>
#include <string>

#include "netconfine/policy/compiled.h"

namespace panal::netconfine {

/// A number that follows from the names of a group and its tenant alone (FNV-1a), so that what the
/// kernel has under it belongs to the same group after any change of rules, where
/// CompiledPolicy::group may be another one's. Not 0. Two groups have the same one once in
/// billions; compile() refuses that where it would matter.
[[nodiscard]] std::uint32_t group_number(const std::string& group, const std::string& tenant);
[[nodiscard]] std::uint32_t group_number(const CompiledPolicy& policy);

}  // namespace panal::netconfine
