#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/tree.h"

/// Kernel: Documentation/filesystems/proc.rst, net/dev; Documentation/ABI/testing/sysfs-class-net.
namespace panal::kernel {

/// One network link since it was made.
struct LinkCounters {
  std::string name;
  std::uint64_t received_bytes = 0;
  std::uint64_t sent_bytes = 0;
  std::uint64_t packets = 0;  ///< both ways
  std::uint64_t dropped = 0;  ///< packets, both ways: no room for them

  [[nodiscard]] bool operator==(const LinkCounters&) const = default;
};

/// Parses /proc/net/dev. Errors: EPROTO for a link with fewer than 16 numbers.
[[nodiscard]] Result<std::vector<LinkCounters>> parse_net_dev(std::string_view text);
/// Those of the process's network namespace. Errors: ENOENT, EPROTO.
[[nodiscard]] Result<std::vector<LinkCounters>> read_net_dev(const Tree& tree);
/// Those of another process's. Errors: ENOENT or ESRCH when it has ended, EINVAL for a zombie.
[[nodiscard]] Result<std::vector<LinkCounters>> read_net_dev(const Tree& tree, pid_t pid);

/// Bits per second; nothing for a link that is down or has no speed (a bridge, a veth says 10
/// Gbit/s).
[[nodiscard]] std::optional<std::uint64_t> read_link_speed(const Tree& tree,
                                                           const std::string& link);

}  // namespace panal::kernel
