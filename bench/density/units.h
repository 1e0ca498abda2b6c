#pragma once

namespace panal::bench {

inline constexpr double kMib = 1024.0 * 1024;  ///< bytes

}  // namespace panal::bench
