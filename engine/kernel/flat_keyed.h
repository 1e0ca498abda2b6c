#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "engine/base/result.h"

namespace panal::kernel {

/// Calls `visit` with each `key number` line (vmstat, memory.stat, cpu.stat, memory.events).
/// Errors: EPROTO for a line that is not two words, the second a number.
[[nodiscard]] Result<void> for_each_flat_keyed(
    std::string_view text, const std::function<void(std::string_view, std::uint64_t)>& visit);

/// The number of one key; nothing where it is absent. Errors: as above.
[[nodiscard]] Result<std::optional<std::uint64_t>> find_flat_keyed(std::string_view text,
                                                                   std::string_view key);

/// Where the number of one key goes.
template <typename T>
struct FlatField {
  std::string_view key;
  std::uint64_t T::* member;
};

/// Adds the numbers of the known keys to `into`: several keys may share a member. Others are
/// skipped. Errors: as above.
template <typename T>
[[nodiscard]] Result<void> add_flat_keyed(std::string_view text,
                                          std::span<const FlatField<T>> fields, T& into) {
  return for_each_flat_keyed(text, [&](std::string_view key, std::uint64_t value) {
    for (const FlatField<T>& field : fields)
      if (field.key == key) into.*field.member += value;
  });
}

}  // namespace panal::kernel
