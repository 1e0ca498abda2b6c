#pragma once

#include <cstdint>

namespace panal::profile {

inline constexpr std::uint64_t kMib = std::uint64_t{1} << 20U;

}  // namespace panal::profile
