#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/firewall/backend.h"
#include "netconfine/qos/shape.h"

namespace panal::netconfine {

/// Where desktops' packets are shaped: `ifb` links of Panal's namespace, one a direction.
inline constexpr const char* kSendShaper = "panal-send";
inline constexpr const char* kReceiveShaper = "panal-receive";

/// What went through one desktop's class since it was made.
struct ShapeUse {
  std::string link;
  Direction direction = Direction::kSend;
  std::uint64_t bytes = 0, packets = 0;
  std::uint32_t dropped = 0;        ///< packets that found the queue full
  std::uint32_t waiting_bytes = 0;  ///< now
};

/// Rates and bursts of desktops and tenants, and whose packets come first. One hierarchical token
/// bucket a direction: line > tenant > desktop. A desktop that nothing bounds is not touched. Works
/// alike on veths, taps and ports of a bridge: a link is known by its name and the desktop's MAC.
/// What the kernel lost or was given besides is found by audit() and put right by load().
/// Not thread-safe; for the network namespace of the thread that opened it.
class Qos {
 public:
  /// Makes what is missing of the two links and takes over what a former process left.
  /// Errors: EPERM; EOPNOTSUPP or ENOENT where the kernel lacks ifb, htb, clsact, u32 or bpf
  /// filters.
  [[nodiscard]] static Result<std::unique_ptr<Qos>> open(const LineLimits& line);
  virtual ~Qos() = default;

  /// Exactly these desktops, whatever the kernel has: only what differs is touched, so nothing that
  /// flows is disturbed. A desktop without a link gets its class alone.
  [[nodiscard]] virtual Result<void> load(std::span<const ShapedDesktop> desktops) = 0;
  /// New desktops, new links of old ones, or new values (rates, burst, tenant, session); the link
  /// must be there, and is best still down. On error all is as before. Errors: ENODEV without the
  /// link; ENOSPC as of ShapePlan::put.
  [[nodiscard]] virtual Result<void> put(std::span<const ShapedDesktop> desktops) = 0;
  /// Takes their classes away. What still comes over their links crawls in the class of strays:
  /// remove the links. Those that are not there are not an error.
  [[nodiscard]] virtual Result<void> remove(std::span<const Addresses> desktops) = 0;
  [[nodiscard]] virtual Result<std::vector<ShapeUse>> use() = 0;
  /// What the kernel has, compared with what is meant. Empty: equal.
  [[nodiscard]] virtual Result<std::vector<Drift>> audit() = 0;
  /// audit(), and everything found is put right.
  [[nodiscard]] virtual Result<std::vector<Drift>> repair() = 0;
  /// True where a desktop's own flows do not hinder each other (the kernel has fq_codel).
  [[nodiscard]] virtual bool fair_queues() const = 0;
};

}  // namespace panal::netconfine
