#pragma once

#include <cstdint>

#include "engine/base/result.h"

namespace panal::kernel {

/// The errno of a result; 0: it is none.
template <typename T>
int code(const Result<T>& result) {
  return result ? 0 : result.error().code;
}

inline constexpr std::uint64_t kPage = 4096;

}  // namespace panal::kernel
