#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/profile/profile.h"
#include "engine/profile/saved.h"
#include "engine/profile/setting.h"

namespace panal::profile {

/// What a plan must know of the host besides its settings.
struct HostFacts {
  std::uint64_t memory_total_bytes = 0;
  std::uint64_t memory_available_bytes = 0;
  /// Of the disk a swap file would be on (Machine::state_dir): free, and whether it is one whose
  /// head must move. 0: not known.
  std::uint64_t swap_disk_free_bytes = 0;
  bool swap_disk_rotates = false;
  /// What settings were, by name, before a governor turned them: what it makes of them now is its
  /// pace and not the machine's own, and no revert is to bring that back.
  std::map<std::string, std::string> before_governor = {};
};

/// What applying a profile would do.
struct Plan {
  std::string profile;
  std::uint32_t desktops = 0;
  std::vector<Setting> settings;   ///< all of the profile's, in the order of writing
  std::vector<std::string> notes;  ///< what the profile says and this host has not got
  /// Settings of the profile applied before that this one does not name: they go back.
  std::vector<Setting> leaving;
  /// Nothing of the machine's: what panald, once started with the profile, makes desktops like
  /// inside (describe_guest()).
  std::vector<std::string> guest = {};

  [[nodiscard]] std::size_t changes() const;
  /// The first setting that cannot be applied and may not be left out; nullptr: none.
  [[nodiscard]] const Setting* blocked() const;
};

/// `saved` is what is applied now; it must be of this boot and not half done.
/// Errors: those of reading settings that are there; EBUSY when `saved` is of another pid
/// namespace.
[[nodiscard]] Result<Plan> make_plan(const Profile& profile, std::uint32_t desktops,
                                     const HostFacts& host, const Machine& machine,
                                     const std::optional<Saved>& saved);

/// Memory that desktops never get.
[[nodiscard]] std::uint64_t reserve_bytes(const Reserve& reserve, std::uint64_t memory_total_bytes);

/// The state of step "zram" that a profile wants: "off", or "algorithm=lzo-rle size=<bytes>
/// limit=<bytes> priority=<n>", with " writeback=<path>" where it names a place.
[[nodiscard]] std::string zram_state(const Zram& zram, std::uint64_t memory_total_bytes);

}  // namespace panal::profile
