#include "bench/redteam/ears.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <span>

#include "bench/redteam/site.h"
#include "netconfine/netlink/enter.h"

namespace panal::bench {
namespace {

using netconfine::run_inside;

constexpr int kRoomBytes = 8 << 20;
constexpr std::size_t kFrameBytes = 4096;

bool has(std::span<const std::uint8_t> bytes, const Octets& mark) {
  return std::search(bytes.begin(), bytes.end(), mark.begin(), mark.end()) != bytes.end();
}

// Address resolution of somebody who wants to answer, or has not forgotten.
bool asks_for_neighbour(std::span<const std::uint8_t> frame) {
  constexpr std::size_t kTypeAt = 12, kNextHeaderAt = 20, kIcmpTypeAt = 54;
  if (frame.size() < 22) return true;
  const unsigned type = static_cast<unsigned>(frame[kTypeAt] << 8U | frame[kTypeAt + 1]);
  if (type == kTypeArp) return frame[21] == 1;
  return type == kTypeIp6 && frame[kNextHeaderAt] == kIcmp6 && frame.size() > kIcmpTypeAt &&
         frame[kIcmpTypeAt] == 135;
}

void make_room(const UniqueFd& fd) {
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kRoomBytes, sizeof kRoomBytes);
}

}  // namespace

Result<LinkEar> LinkEar::open(const UniqueFd& network, const std::string& link) {
  LinkEar ear;
  PANAL_TRY(run_inside(network, [&]() -> Result<void> {
    ear.fd_ =
        UniqueFd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL)));
    ear.index_ = static_cast<int>(::if_nametoindex(link.c_str()));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = ear.index_;
    if (!ear.fd_ || ear.index_ == 0 ||
        ::bind(ear.fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      return fail_errno("listen on a link", link);
    make_room(ear.fd_);
    return {};
  }));
  return ear;
}

Result<void> LinkEar::send(const Octets& frame) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = index_;
  const auto sent = ::sendto(fd_.get(), frame.data(), frame.size(), 0,
                             reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (sent != static_cast<ssize_t>(frame.size())) return fail_errno("send a frame");
  return {};
}

LinkEar::Heard LinkEar::listen(const Octets& mark, const Mac& self) {
  Heard heard;
  std::array<std::uint8_t, kFrameBytes> room{};
  for (;;) {
    sockaddr_ll from{};
    socklen_t length = sizeof from;
    const auto bytes = ::recvfrom(fd_.get(), room.data(), room.size(), 0,
                                  reinterpret_cast<sockaddr*>(&from), &length);
    if (bytes < 0 && errno == ENOBUFS) continue;
    if (bytes < 0) return heard;
    if (from.sll_pkttype == PACKET_OUTGOING) continue;
    const std::span<const std::uint8_t> frame(room.data(), static_cast<std::size_t>(bytes));
    if (has(frame, mark)) heard.mark = true;
    if (frame.size() > self.size() && std::equal(self.begin(), self.end(), frame.begin()) &&
        !asks_for_neighbour(frame))
      heard.reply = true;
  }
}

Result<HostEar> HostEar::open(const UniqueFd& network) {
  HostEar ear;
  PANAL_TRY(run_inside(network, [&]() -> Result<void> {
    constexpr std::array<int, 17> kProtocols = {1,  2,  4,  6,  17,  33,  41,  46, 47,
                                                50, 51, 58, 97, 115, 132, 136, 253};
    for (const int family : {AF_INET, AF_INET6}) {
      for (const int protocol : kProtocols) {
        UniqueFd fd(::socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
        if (!fd) return fail_errno("listen to protocol", std::to_string(protocol));
        make_room(fd);
        ear.sockets_.push_back(std::move(fd));
      }
    }
    return {};
  }));
  return ear;
}

bool HostEar::listen(const Octets& mark) {
  bool heard = false;
  std::array<std::uint8_t, kFrameBytes> room{};
  for (const UniqueFd& fd : sockets_) {
    for (;;) {
      const auto bytes = ::recv(fd.get(), room.data(), room.size(), 0);
      if (bytes < 0) break;
      heard = heard || has({room.data(), static_cast<std::size_t>(bytes)}, mark);
    }
  }
  return heard;
}

Result<Memory> Memory::open(const UniqueFd& network) {
  Memory memory;
  PANAL_TRY(run_inside(network, [&]() -> Result<void> {
    memory.netlink_ = UniqueFd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!memory.netlink_) return fail_errno("ask for neighbours");
    memory.count_ =
        UniqueFd(::open("/proc/sys/net/netfilter/nf_conntrack_count", O_RDONLY | O_CLOEXEC));
    return {};
  }));
  return memory;
}

Result<std::set<std::string>> Memory::dump(int family) {
  struct {
    nlmsghdr header;
    ndmsg neighbour;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETNEIGH;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.neighbour.ndm_family = static_cast<std::uint8_t>(family);
  if (::send(netlink_.get(), &request, sizeof request, 0) != sizeof request)
    return fail_errno("ask for neighbours");
  std::set<std::string> found;
  alignas(nlmsghdr) std::array<char, 32768> room{};
  for (;;) {
    auto bytes = ::recv(netlink_.get(), room.data(), room.size(), 0);
    if (bytes < 0) return fail_errno("read neighbours");
    for (auto* message = reinterpret_cast<nlmsghdr*>(room.data()); NLMSG_OK(message, bytes);
         message = NLMSG_NEXT(message, bytes)) {
      if (message->nlmsg_type == NLMSG_DONE) return found;
      if (message->nlmsg_type == NLMSG_ERROR) return fail(EIO, "read neighbours");
      if (message->nlmsg_type != RTM_NEWNEIGH) continue;
      const auto* neighbour = static_cast<const ndmsg*>(NLMSG_DATA(message));
      if (neighbour->ndm_state & NUD_NOARP && family != AF_BRIDGE) continue;
      std::string entry =
          std::to_string(neighbour->ndm_family) + " " + std::to_string(neighbour->ndm_ifindex);
      const auto* first = reinterpret_cast<const char*>(neighbour) + NLMSG_ALIGN(sizeof(ndmsg));
      auto left =
          static_cast<long>(message->nlmsg_len) - static_cast<long>(NLMSG_LENGTH(sizeof(ndmsg)));
      for (const auto* one = reinterpret_cast<const rtattr*>(first); RTA_OK(one, left);
           one = RTA_NEXT(one, left)) {
        if (one->rta_type != NDA_DST && one->rta_type != NDA_LLADDR) continue;
        // What nobody has answered yet has no MAC worth a look.
        if (one->rta_type == NDA_LLADDR && (neighbour->ndm_state & (NUD_FAILED | NUD_INCOMPLETE)))
          continue;
        entry += ' ' + std::to_string(one->rta_type) + '=';
        const auto* data = static_cast<const std::uint8_t*>(RTA_DATA(one));
        for (std::size_t i = 0; i < RTA_PAYLOAD(one); ++i) entry += std::to_string(data[i]) + '.';
      }
      found.insert(std::move(entry));
    }
  }
}

Result<std::set<std::string>> Memory::neighbours() { return dump(AF_UNSPEC); }
Result<std::set<std::string>> Memory::bridge() { return dump(AF_BRIDGE); }

std::uint64_t Memory::connections() const {
  std::array<char, 32> text{};
  if (!count_ || ::pread(count_.get(), text.data(), text.size() - 1, 0) <= 0) return 0;
  return std::strtoull(text.data(), nullptr, 10);
}

Result<Settle> Settle::open() {
  constexpr std::uint16_t kPort = 7778;
  Settle settle;
  PANAL_ASSIGN(settle.here_, new_network());
  PANAL_ASSIGN(settle.there_, new_network());
  PANAL_TRY(ip_commands(settle.here_,
                        "link add fence0 type veth peer name fence1\n"
                        "link set fence1 netns " +
                            path_of(settle.there_) +
                            "\naddress add 10.255.0.1/24 dev fence0\n"
                            "link set fence0 up\n"));
  PANAL_TRY(
      ip_commands(settle.there_, "address add 10.255.0.2/24 dev fence1\nlink set fence1 up\n"));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kPort);
  PANAL_TRY(run_inside(settle.there_, [&]() -> Result<void> {
    settle.ear_ = UniqueFd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!settle.ear_ ||
        ::bind(settle.ear_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      return fail_errno("make a fence");
    return {};
  }));
  address.sin_addr.s_addr = htonl(0x0aff0002);
  PANAL_TRY(run_inside(settle.here_, [&]() -> Result<void> {
    settle.mouth_ = UniqueFd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!settle.mouth_ ||
        ::connect(settle.mouth_.get(), reinterpret_cast<const sockaddr*>(&address),
                  sizeof address) != 0)
      return fail_errno("make a fence");
    return {};
  }));
  PANAL_TRY(settle.wait());
  return settle;
}

Result<void> Settle::wait() {
  // As many rounds as a packet has hops at most (desktop, host, another desktop), and one; and the
  // way back.
  constexpr int kRounds = 6, kPatienceMs = 30'000;
  for (int round = 0; round < kRounds; ++round) {
    if (::send(mouth_.get(), "x", 1, 0) != 1) return fail_errno("send over the fence");
    pollfd waiting{ear_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, kPatienceMs) != 1) return fail(ETIMEDOUT, "wait for the fence");
    char byte = 0;
    if (::recv(ear_.get(), &byte, 1, 0) != 1) return fail_errno("hear over the fence");
  }
  return {};
}

}  // namespace panal::bench
