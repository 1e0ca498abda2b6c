#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/kernel/cgroup.h"
#include "engine/model/ids.h"
#include "engine/model/session.h"

namespace panal::optimiser {

/// A desktop as the last resort sees it.
struct RescueDesk {
  DesktopId id = 0;
  SessionClass session = SessionClass::kActive;
  std::shared_ptr<const kernel::Cgroup> group;
  std::uint64_t anon_bytes = 0;   ///< when it was last looked at, up to a minute ago
  std::uint64_t cache_bytes = 0;  ///< page cache, shared memory not in it; likewise
  std::uint64_t swap_bytes = 0;   ///< likewise
};

/// What the last resort knows of desktops and has others do to them; for any thread.
class RescueHands {
 public:
  virtual ~RescueHands() = default;
  [[nodiscard]] virtual std::vector<RescueDesk> rescue_desks() const = 0;
  /// Begins to take all from those of them that nobody looks at, before anything else is taken.
  virtual void take_all(std::span<const DesktopId> ids) = 0;
  /// Stops those of them that nobody looks at, also those from which something is taken just now:
  /// when it returns the kernel was asked for each of them.
  virtual void freeze_all(std::span<const DesktopId> ids) = 0;
  /// Those that were stopped by freeze_all() run again.
  virtual void let_go() = 0;
};

}  // namespace panal::optimiser
