#pragma once

#include <cstdint>
#include <string>

namespace panal::netconfine {

/// Packets (and bytes) dropped for one reason since the rules were loaded.
struct DropCounter {
  std::string reason;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

}  // namespace panal::netconfine
