#include "netconfine/log/packet_log.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <span>

namespace panal::netconfine {
namespace {

// Headers are enough; rules ask for 64 bytes.
constexpr std::uint32_t kCopiedBytes = 64;
// Packets the kernel gathers before it wakes us, and for how long (hundredths of a second).
constexpr std::uint32_t kGathered = 16, kGatherCentiseconds = 10;

using Attributes = std::array<const nlattr*, NFULA_MAX + 1>;

int take(const nlattr* attribute, void* to) {
  const auto type = mnl_attr_get_type(attribute);
  if (type <= NFULA_MAX) (*static_cast<Attributes*>(to))[type] = attribute;
  return MNL_CB_OK;
}

int index_in(const nlattr* attribute) {
  if (attribute == nullptr || mnl_attr_get_payload_len(attribute) < 4) return 0;
  return static_cast<int>(ntohl(mnl_attr_get_u32(attribute)));
}

std::string text_in(const nlattr* attribute) {
  if (attribute == nullptr) return {};
  const auto* first = static_cast<const char*>(mnl_attr_get_payload(attribute));
  std::string text(first, strnlen(first, mnl_attr_get_payload_len(attribute)));
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

std::string address_in(int family, std::span<const std::uint8_t> bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(family, bytes.data(), text.data(), static_cast<socklen_t>(text.size()));
  return text.data();
}

void look_into(std::span<const std::uint8_t> packet, LoggedPacket& logged) {
  if (packet.empty()) return;
  std::size_t header = 0;
  if (packet[0] >> 4 == 4) {
    header = std::size_t{packet[0] & 0x0fU} * 4;
    if (header < 20 || packet.size() < 20) return;
    logged.protocol = packet[9];
    logged.from = address_in(AF_INET, packet.subspan(12, 4));
    logged.to = address_in(AF_INET, packet.subspan(16, 4));
  } else if (packet[0] >> 4 == 6) {
    header = 40;
    if (packet.size() < header) return;
    logged.protocol = packet[6];
    logged.from = address_in(AF_INET6, packet.subspan(8, 16));
    logged.to = address_in(AF_INET6, packet.subspan(24, 16));
  }
  const bool has_ports = logged.protocol == IPPROTO_TCP || logged.protocol == IPPROTO_UDP;
  if (!has_ports || packet.size() < header + 4) return;
  const auto port = [&](std::size_t at) {
    return static_cast<std::uint16_t>(packet[header + at] << 8 | packet[header + at + 1]);
  };
  logged.from_port = port(0);
  logged.to_port = port(2);
}

// A request about one log group, with a single attribute.
class Request {
 public:
  Request(std::uint16_t group, std::uint32_t sequence)
      : header_(mnl_nlmsg_put_header(bytes_.data())) {
    header_->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
    header_->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    header_->nlmsg_seq = sequence;
    auto* family = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header_, sizeof(nfgenmsg)));
    family->nfgen_family = AF_UNSPEC;
    family->version = NFNETLINK_V0;
    family->res_id = htons(group);
  }
  template <typename T>
  Request& put(std::uint16_t type, const T& value) {
    mnl_attr_put(header_, type, sizeof(value), &value);
    return *this;
  }
  // Sends it and reads the answer.
  Result<void> ask(int fd, const char* what) {
    if (send(fd, header_, header_->nlmsg_len, 0) < 0) return fail_errno(what);
    alignas(nlmsghdr) std::array<char, 4096> answer{};
    for (;;) {
      const auto length = recv(fd, answer.data(), answer.size(), 0);
      if (length < 0) return fail_errno(what);
      const auto* message = reinterpret_cast<const nlmsghdr*>(answer.data());
      if (!mnl_nlmsg_ok(message, static_cast<int>(length)) ||
          message->nlmsg_seq != header_->nlmsg_seq || message->nlmsg_type != NLMSG_ERROR) {
        continue;  // a packet that came in between
      }
      const int code = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message))->error;
      if (code != 0) return fail(-code, what);
      return {};
    }
  }

 private:
  alignas(nlmsghdr) std::array<char, 256> bytes_{};
  nlmsghdr* header_;
};

}  // namespace

Result<LoggedPacket> parse_logged(const nlmsghdr* message) {
  if (message->nlmsg_len < NLMSG_HDRLEN + sizeof(nfgenmsg)) {
    return fail(EPROTO, "packet log: a message without its family");
  }
  // The kernel fills attributes up; libmnl would read a cut message up to the next word.
  if (message->nlmsg_len % NLMSG_ALIGNTO != 0) return fail(EPROTO, "packet log: a cut message");
  Attributes parts{};
  mnl_attr_parse(message, sizeof(nfgenmsg), take, &parts);
  LoggedPacket logged;
  logged.prefix = text_in(parts[NFULA_PREFIX]);
  logged.in_link = index_in(parts[NFULA_IFINDEX_INDEV]);
  logged.out_link = index_in(parts[NFULA_IFINDEX_OUTDEV]);
  if (const nlattr* payload = parts[NFULA_PAYLOAD]) {
    look_into({static_cast<const std::uint8_t*>(mnl_attr_get_payload(payload)),
               mnl_attr_get_payload_len(payload)},
              logged);
  }
  return logged;
}

Result<PacketLog> PacketLog::open(std::uint16_t group) {
  UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (!fd || bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return fail_errno("open the packet log");
  }
  nfulnl_msg_config_cmd bind_it{};
  bind_it.command = NFULNL_CFG_CMD_BIND;
  nfulnl_msg_config_mode mode{};
  mode.copy_range = htonl(kCopiedBytes);
  mode.copy_mode = NFULNL_COPY_PACKET;
  std::uint32_t sequence = 0;
  auto bound =
      Request(group, ++sequence).put(NFULA_CFG_CMD, bind_it).ask(fd.get(), "bind the packet log");
  if (!bound && bound.error().code == EINVAL) {
    return fail(EPROTONOSUPPORT, "packet log: this kernel has none (nfnetlink_log)");
  }
  PANAL_TRY(bound);
  PANAL_TRY(Request(group, ++sequence)
                .put(NFULA_CFG_MODE, mode)
                .put(NFULA_CFG_QTHRESH, htonl(kGathered))
                .put(NFULA_CFG_TIMEOUT, htonl(kGatherCentiseconds))
                .ask(fd.get(), "set up the packet log"));
  return PacketLog(std::move(fd));
}

Result<std::vector<LoggedPacket>> PacketLog::read() {
  std::vector<LoggedPacket> all;
  alignas(nlmsghdr) std::array<char, 65536> bytes{};
  for (;;) {
    const auto length = recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0 && errno == ENOBUFS) {
      ++lost_;
      continue;
    }
    if (length < 0 && errno == EAGAIN) return all;
    if (length < 0) return fail_errno("read the packet log");
    int left = static_cast<int>(length);
    const auto* message = reinterpret_cast<const nlmsghdr*>(bytes.data());
    for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET)) continue;
      PANAL_ASSIGN(auto logged, parse_logged(message));
      all.push_back(std::move(logged));
    }
  }
}

}  // namespace panal::netconfine
