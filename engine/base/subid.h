#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace panal {

/// One line of subuid(5)/subgid(5): `owner` may use the ids first .. first+count-1.
struct SubidLine {
  std::string owner;
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  [[nodiscard]] bool operator==(const SubidLine&) const = default;
};

/// Ids 4,096 desktops take (65,536 each): what panal asks for where root has no range yet.
inline constexpr std::uint32_t kSubidWanted = 268'435'456;
/// What it asked for before: two less than 1,000 desktops, as pre-warmers and trials take two.
inline constexpr std::uint32_t kSubidWantedOnce = 65'536'000;
/// Never below: the ids of people and services live there.
inline constexpr std::uint32_t kSubidLeast = 1'000'000;

/// The first line of `owner` (login name, or its decimal uid) in the text of a subid file; lines
/// that do not parse are skipped, as shadow's own tools do.
[[nodiscard]] std::optional<SubidLine> find_subid(std::string_view text, std::string_view owner);

/// Where `count` ids would begin that no line of either text touches: past all other entries.
/// Errors: ENOSPC when fewer than `count` ids are left below 2^32 - 1.
[[nodiscard]] Result<std::uint32_t> choose_subid_start(std::string_view subuid_text,
                                                       std::string_view subgid_text,
                                                       std::uint32_t count);

/// Gives root a range in both files where it has none (the same numbers in both, so that one map
/// serves users and groups), by writing a new file and renaming it. One of the size that Panal once
/// asked for grows to what it asks for now, if nobody has what lies behind it. Returns root's
/// range. Errors: EINVAL when root's ranges in the two files differ, ENOSPC, those of open(2),
/// rename(2).
[[nodiscard]] Result<SubidLine> ensure_subid_lines(const std::string& subuid_file = "/etc/subuid",
                                                   const std::string& subgid_file = "/etc/subgid");

}  // namespace panal
