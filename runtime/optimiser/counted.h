#pragma once

#include <cstdint>
#include <optional>

#include "engine/policy/admission.h"

namespace panal::optimiser {

/// By what desktops of different images differ: what their groups are charged with.
enum class Weigh : std::uint8_t {
  kMemory,  ///< without page cache
  kTasks,   ///< processes and threads
  kCpu,     ///< time since they settled
};

/// A resource at one moment. Its cost is that of a desktop whose weight is 1.
struct Counted {
  policy::Resource resource;
  std::optional<Weigh> by;  ///< nothing: all images take the same
  bool grows = false;       ///< those that started lately have not taken of it what they will
};

}  // namespace panal::optimiser
