#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/ids.h"

namespace panal::desktop {

/// Ids one desktop gets.
inline constexpr std::uint32_t kIdsPerDesktop = 65536;

/// The ranges /etc/subuid (subuid(5)) gives `user`, in file order. Comments and empty lines are
/// skipped, a name is also matched by `uid`. Errors: EPROTO "line n: ..." for a line of the user
/// that does not parse; other users' lines are not our business.
[[nodiscard]] Result<std::vector<IdRange>> parse_subid(std::string_view text, std::string_view user,
                                                       std::uint32_t uid);

/// Of so many slots, those for users' desktops: the last two are the pre-warmers' and that of trial
/// starts. A node with so few that one would be left has no trials.
[[nodiscard]] constexpr std::uint64_t slots_for_desktops(std::uint64_t slots) {
  return slots > 2 ? slots - 2 : slots > 1 ? slots - 1 : slots;
}

/// The node's host ids, cut into slots of kIdsPerDesktop, one a desktop.
class IdSlots {
 public:
  /// `configured` where its count is not 0, else the ranges root has in both texts.
  /// Errors: EINVAL with a sentence when there is not one whole slot, or when it would hold host
  /// ids below 65536; ENOENT when root has no line.
  [[nodiscard]] static Result<IdSlots> make(IdRange configured, std::string_view subuid,
                                            std::string_view subgid);
  /// The same, reading /etc/subuid and /etc/subgid.
  [[nodiscard]] static Result<IdSlots> load(IdRange configured);

  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] std::uint32_t for_desktops() const {
    return static_cast<std::uint32_t>(slots_for_desktops(count_));
  }
  /// Errors: ENOSPC with a sentence where there is none.
  [[nodiscard]] Result<IdRange> for_prewarmers() const;
  [[nodiscard]] Result<IdRange> for_trials() const;
  /// Errors: ENOSPC past count().
  [[nodiscard]] Result<IdRange> range(std::uint32_t slot) const;

 private:
  IdSlots(std::uint32_t first, std::uint32_t count) : first_(first), count_(count) {}
  std::uint32_t first_;
  std::uint32_t count_;
};

}  // namespace panal::desktop
