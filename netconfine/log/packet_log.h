#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

struct nlmsghdr;

namespace panal::netconfine {

/// The netlink log group that rules of both backends write to, and how they begin what they write:
/// "panal denied POLICY ", "panal allowed POLICY ".
inline constexpr std::uint16_t kPacketLogGroup = 77;

/// A packet that a policy with `log` has had written down.
struct LoggedPacket {
  std::string prefix;         ///< as written by the rule, without spaces at its end
  int in_link = 0;            ///< index of the link it came by, in Panal's namespace; 0: none
  int out_link = 0;           ///< of the one it was to leave by
  std::string from, to;       ///< addresses; empty where the packet is too short to have them
  std::uint8_t protocol = 0;  ///< IANA's number
  std::uint16_t from_port = 0, to_port = 0;  ///< of TCP and UDP
};

/// One NFULNL_MSG_PACKET. The packet's bytes are a desktop's: nothing in them is believed.
/// Errors: EPROTO for a message that is cut short.
[[nodiscard]] Result<LoggedPacket> parse_logged(const nlmsghdr* message);

/// Reads the log of one network namespace. Not thread-safe.
class PacketLog {
 public:
  /// For the namespace of the calling thread, for ever. Errors: EBUSY, somebody reads that group
  /// already; EPROTONOSUPPORT, the kernel has no such log.
  [[nodiscard]] static Result<PacketLog> open(std::uint16_t group = kPacketLogGroup);

  /// Readable when something has been written.
  [[nodiscard]] int fd() const { return fd_.get(); }
  /// Of the same socket, for who waits with descriptors of their own.
  [[nodiscard]] Result<UniqueFd> duplicate() const { return fd_.duplicate(); }
  /// What has been written since the last call; does not wait. What the reader was too slow for is
  /// lost, and counted in lost().
  [[nodiscard]] Result<std::vector<LoggedPacket>> read();
  /// Times that packets were lost since open().
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  explicit PacketLog(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
  std::uint64_t lost_ = 0;
};

}  // namespace panal::netconfine
