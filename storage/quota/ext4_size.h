#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/base/result.h"

namespace panal::storage {

/// Where ext4's superblock is in its device or file, and how much of it parse_ext4_size() wants.
inline constexpr std::size_t kExt4SuperblockAt = 1024;
inline constexpr std::size_t kExt4SuperblockBytes = 1024;

/// How many bytes an ext4 takes, by its superblock. Errors: EPROTO for what is none, or too short.
[[nodiscard]] Result<std::uint64_t> parse_ext4_size(std::string_view superblock);

}  // namespace panal::storage
