#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/base/result.h"

namespace panal::storage {

/// What btrfs's quota tree says of one group.
struct QgroupNumbers {
  std::uint64_t referenced_bytes = 0;
  std::optional<std::uint64_t> limit_bytes;  ///< none: it has none
};

/// The answer of a search in the quota tree: `count` items, each a header and its content.
/// Errors: EPROTO for an answer that is cut or holds items of other sizes.
[[nodiscard]] Result<QgroupNumbers> parse_qgroup_items(std::string_view bytes, std::uint32_t count,
                                                       std::uint64_t group);

}  // namespace panal::storage
