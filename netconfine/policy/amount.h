#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "netconfine/policy/policy.h"

namespace panal::netconfine {

/// Bits a second as people write them: "20 Mbit"; a whole number of bit, kbit, Mbit or Gbit, which
/// are powers of 1000. Errors: EINVAL with what it must be, to be put behind a name.
[[nodiscard]] Result<std::uint64_t> parse_rate(std::string_view text);
/// The shortest text that parse_rate() reads back: "20 Mbit".
[[nodiscard]] std::string format_rate(std::uint64_t bits_per_second);

/// "256 KiB"; a whole number of B, KiB, MiB or GiB, powers of 1024. Errors: as parse_rate().
[[nodiscard]] Result<std::uint64_t> parse_bytes(std::string_view text);
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);

/// "443/tcp", "8000-8080/tcp", "53/udp", "ping", "tcp" (all of its ports), "any".
/// Errors: EINVAL with what is wrong, to be put behind the text.
[[nodiscard]] Result<Traffic> parse_traffic(std::string_view text);
[[nodiscard]] std::string to_string(const Traffic& traffic);

}  // namespace panal::netconfine
