#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/qos/tc_messages.h"

namespace panal::netconfine {

// Answers to the questions of tc_messages.h. Each takes a message's payload (what follows the
// netlink header). Errors: EPROTO for one that is cut short or lies about a length.

/// A class of the shapers' HTB as the kernel has it, with what went through it.
struct FoundClass {
  ShapeClass shape;  ///< bursts as rounded by the kernel's ticks; queue_bytes is not in it
  std::uint64_t bytes = 0, packets = 0;  ///< sent since it was made
  std::uint32_t dropped = 0;             ///< packets for which the queue was full
  std::uint32_t waiting_bytes = 0;
};
/// None for classes of another kind or another major.
[[nodiscard]] Result<std::optional<FoundClass>> parse_class(std::span<const std::byte> payload);

/// True when the kernel's class does what was meant: bursts may differ by its rounding.
[[nodiscard]] bool same_shape(const ShapeClass& meant, const ShapeClass& found);

struct FoundQdisc {
  int index = 0;  ///< of the link
  std::uint32_t handle = 0, parent = 0;
  std::string kind;
  std::uint32_t fifo_bytes = 0;  ///< of a bfifo
};
[[nodiscard]] Result<FoundQdisc> parse_qdisc(std::span<const std::byte> payload);

struct FoundFilter {
  std::uint32_t parent = 0;
  std::string kind;
  std::vector<MacMatch> matches;  ///< of a u32
  int redirects_to = 0;           ///< link index; 0: it does not redirect
  std::vector<BpfInstruction> program;
};
/// None for what is no filter itself (a u32's hash table, the head of a priority).
[[nodiscard]] Result<std::optional<FoundFilter>> parse_filter(std::span<const std::byte> payload);

}  // namespace panal::netconfine
