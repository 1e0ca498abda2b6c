#pragma once

#include <cstdint>
#include <string>

namespace panal {

/// A desktop's number in the store; its kernel-side name is made of it.
using DesktopId = std::int64_t;

/// The name a desktop has in the kernel and on disk: "d<id>". User-chosen names never get there.
[[nodiscard]] inline std::string kernel_name(DesktopId id) { return "d" + std::to_string(id); }

/// A block of user and group ids on the host that a desktop's ids 0..count-1 stand for.
struct IdRange {
  std::uint32_t first = 0;
  std::uint32_t count = 65536;
  [[nodiscard]] bool operator==(const IdRange&) const = default;
};

}  // namespace panal
