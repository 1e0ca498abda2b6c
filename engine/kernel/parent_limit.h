#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/kernel/cgroup.h"
#include "engine/kernel/meminfo.h"

namespace panal::kernel {

struct ParentLimitInput {
  HostMemory host;
  std::uint64_t reserve_bytes = 0;         ///< kept for the host's own processes
  std::uint64_t zram_bytes = 0;            ///< zram's use, charged to no group
  std::uint64_t charged_kernel_bytes = 0;  ///< kernel memory in the parent group's charge
};

/// Kernel memory that no group pays for: what the host's kernel uses, less what is charged. It
/// takes in the pages that meminfo counts nowhere (drivers, vmalloc), but not zram's.
[[nodiscard]] std::uint64_t uncharged_kernel_bytes(const ParentLimitInput& input);

/// The memory limit of the group that holds all desktops, so that filling it cannot take the
/// host's: MemTotal - reserve - zram - uncharged kernel memory; whole MiB, 256 MiB at least
/// (with less nothing could even be stopped in good order).
[[nodiscard]] std::uint64_t parent_limit_bytes(const ParentLimitInput& input);

/// The reserve where the configuration gives none: 10 % of RAM, 1 GiB at least.
[[nodiscard]] std::uint64_t default_reserve_bytes(std::uint64_t total_bytes);

/// Keeps the parent group's limit right; the caller calls update() every second.
class ParentLimit {
 public:
  /// `reserve_bytes` 0: the default one. `fixed_bytes` not 0: that limit, whatever the host does.
  /// `tree` must outlive it.
  ParentLimit(const Tree& tree, Cgroup parent, std::uint64_t reserve_bytes,
              std::uint64_t fixed_bytes)
      : tree_(tree),
        parent_(std::move(parent)),
        reserve_bytes_(reserve_bytes),
        fixed_bytes_(fixed_bytes) {}

  /// Computes the limit and sets it where it moved by more than 4 MiB. Returns the limit in force.
  /// Where the group holds more than the new limit v1 reclaims; v2 would kill somebody when that is
  /// not enough, so some MiB are taken, and the limit follows what is held down, call by call.
  /// Errors: EBUSY (v1) when it cannot be reclaimed: the old limit stays, and the next call tries
  /// again.
  [[nodiscard]] Result<std::uint64_t> update();

 private:
  [[nodiscard]] Result<std::uint64_t> wanted() const;
  /// On v2. Returns the limit that it has then.
  [[nodiscard]] Result<std::uint64_t> follow_down(std::uint64_t present, std::uint64_t limit) const;

  const Tree& tree_;
  Cgroup parent_;
  std::uint64_t reserve_bytes_;
  std::uint64_t fixed_bytes_;
  std::optional<std::uint64_t> in_force_;
};

}  // namespace panal::kernel
