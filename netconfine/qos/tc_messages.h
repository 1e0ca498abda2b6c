#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "netconfine/netlink/socket.h"
#include "netconfine/qos/shape.h"

namespace panal::netconfine {

// rtnetlink requests of traffic control (kernel: include/uapi/linux/pkt_sched.h, pkt_cls.h). Built
// by hand: libnl-route knows neither clsact nor the classifier. Rates go without the rate tables of
// old (since Linux 3.8 the kernel computes them itself for TC_LINKLAYER_ETHERNET).

/// Handle of the shapers' HTB. High, so that a desktop's queue can have its class's number.
inline constexpr std::uint16_t kShaperMajor = 0xf000;

/// The handle of a class's queue: the class's number. The strays' would be that of clsact; they
/// have the root's, which has no queue.
[[nodiscard]] constexpr std::uint32_t queue_handle(Minor minor) {
  return std::uint32_t{minor == kStrayMinor ? kRootMinor : minor} << 16;
}

/// What a desktop's packets wait in.
enum class LeafQueue : std::uint8_t {
  kFqCodel,  ///< fair among the desktop's own flows, short queues
  kFifo,     ///< by bytes; where the kernel lacks the better one
};

[[nodiscard]] Message add_ifb(const std::string& name);
/// HTB as the root of a device; packets that no class is found for go to kStrayMinor.
[[nodiscard]] Message add_shaper(int index);
/// Adds a class or gives it new values (not another parent).
[[nodiscard]] Message put_class(int index, const ShapeClass& shape);
[[nodiscard]] Message delete_class(int index, Minor minor);
/// The queue of a class with packets; new, or with a new length.
[[nodiscard]] Message put_queue(int index, const ShapeClass& shape, LeafQueue queue);
/// One program for all desktops: the class of a packet from its MAC. Replaces itself.
[[nodiscard]] Message add_classifier(int index, Direction direction);

/// The place for filters on a link's way in and out.
[[nodiscard]] Message add_clsact(int index);
/// Sends a link's packets through the device `shaper`. What a desktop sends is taken only under its
/// own MAC (what it sends under another's is dropped by the firewall, and charged to nobody).
/// EEXIST where there is one.
[[nodiscard]] Message add_redirect(int index, Direction direction, const Mac& mac, int shaper);
/// ENOENT, or EINVAL without clsact, where there is none.
[[nodiscard]] Message delete_redirect(int index, Direction direction);
/// Deletes all filters of a place, whoever has put them there.
[[nodiscard]] Message delete_filters(int index, std::uint32_t parent);

// Questions for NetlinkSocket::query.
[[nodiscard]] Message list_classes(int index);
[[nodiscard]] Message list_filters(int index, std::uint32_t parent);
[[nodiscard]] Message list_qdiscs();

/// Where a link's redirect hangs: clsact's way in for what the desktop sends, else its way out.
[[nodiscard]] std::uint32_t redirect_parent(Direction direction);

/// An instruction of classic BPF, as the kernel takes it (struct sock_filter).
struct BpfInstruction {
  std::uint16_t code = 0;
  std::uint8_t jump_true = 0, jump_false = 0;
  std::uint32_t k = 0;
  [[nodiscard]] bool operator==(const BpfInstruction&) const = default;
};
/// The classifier's program: classid of a frame.
[[nodiscard]] std::array<BpfInstruction, 8> classifier_program(Direction direction);

/// What a redirect compares: value and mask of 4 bytes (network order) at an offset from the
/// network header.
struct MacMatch {
  std::uint32_t value = 0, mask = 0;
  std::int32_t offset = 0;
  [[nodiscard]] bool operator==(const MacMatch&) const = default;
};
[[nodiscard]] std::array<MacMatch, 2> redirect_matches(Direction direction, const Mac& mac);

}  // namespace panal::netconfine
