#pragma once

#include <span>
#include <string>
#include <string_view>

#include "storage/repo/metadata.h"  // sha256_hex() is there

namespace panal::storage {

/// Lower-case hex digits, two a byte.
[[nodiscard]] std::string to_hex(std::span<const unsigned char> bytes);

/// Fills `bytes` from exactly twice as many lower-case hex digits; false for anything else.
[[nodiscard]] bool from_hex(std::string_view digits, std::span<unsigned char> bytes);

}  // namespace panal::storage
