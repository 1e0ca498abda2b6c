#include "netconfine/probe/probe.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "netconfine/link/routed_veth.h"
#include "netconfine/netlink/enter.h"
#include "netconfine/probe/packet.h"
#include "netconfine/qos/qos.h"

namespace panal::netconfine {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Of the calling thread's namespace; sees packets from their IP header on. `protocol`: ETH_P_ALL
/// sees what goes out as well, 0 nothing. `index` 0: of all links.
Result<UniqueFd> open_packets(std::uint16_t protocol, unsigned index) {
  UniqueFd fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno("open a packet socket");
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(protocol);
  address.sll_ifindex = static_cast<int>(index);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno("bind a packet socket");
  return fd;
}

Result<unsigned> index_of(const std::string& link) {
  const unsigned index = ::if_nametoindex(link.c_str());
  if (index == 0) return fail(ENODEV, "there is no link " + link);
  return index;
}

/// Only what goes to the flow's destination: with many busy desktops the socket's queue would be
/// full of the rest.
Result<void> filter(const UniqueFd& fd, const Flow& flow) {
  const std::uint8_t* address = flow.v6 ? flow.to6.data() : flow.to4.data();
  const unsigned at = flow.v6 ? 24 : 16, words = flow.v6 ? 4 : 1;
  std::vector<sock_filter> program;
  for (unsigned word = 0; word < words; ++word) {
    std::uint32_t value = 0;
    std::memcpy(&value, address + std::size_t{4} * word, sizeof value);
    program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at + 4 * word));
    const auto past = static_cast<std::uint8_t>(2 * (words - word) - 1);  // to the last statement
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(value), 0, past));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, 0xffff));
  program.push_back(BPF_STMT(BPF_RET | BPF_K, 0));
  const sock_fprog code{static_cast<unsigned short>(program.size()), program.data()};
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &code, sizeof code) != 0)
    return fail_errno("filter a packet socket");
  return {};
}

Result<void> send_inside(const Addresses& from, const Flow& flow, std::uint32_t token) {
  PANAL_ASSIGN(const unsigned index, index_of(kInsideName));
  PANAL_ASSIGN(const UniqueFd fd, open_packets(0, index));
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_protocol = htons(flow.v6 ? ETH_P_IPV6 : ETH_P_IP);
  to.sll_ifindex = static_cast<int>(index);
  to.sll_halen = static_cast<unsigned char>(from.gateway_mac.size());
  std::copy(from.gateway_mac.begin(), from.gateway_mac.end(), std::begin(to.sll_addr));
  const auto packet = probe_packet(flow, token);
  const ssize_t sent = ::sendto(fd.get(), packet.data(), packet.size(), 0,
                                reinterpret_cast<const sockaddr*>(&to), sizeof to);
  if (sent != static_cast<ssize_t>(packet.size()))
    return fail_errno("send a packet from inside the desktop at", kInsideName);
  return {};
}

Result<std::uint32_t> random_token() {
  std::uint32_t token = 0;
  if (::getrandom(&token, sizeof token, 0) != static_cast<ssize_t>(sizeof token))
    return fail_errno("getrandom");
  return token;
}

/// What a socket of all links has seen of one probe.
class Watch {
 public:
  /// `shapers`: links that packets only wait at (qos/qos.h); 0: there is none.
  Watch(UniqueFd fd, unsigned near, std::array<unsigned, 2> shapers, Flow flow, std::uint32_t token)
      : fd_(std::move(fd)), near_(near), shapers_(shapers), flow_(flow), token_(token) {}

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool left() const { return left_; }
  [[nodiscard]] unsigned passed_by() const { return passed_by_; }  ///< a link's index; 0: not yet

  void read() {
    std::array<std::uint8_t, 2048> packet{};
    // Others may send there faster than this reads: what is queued now is enough for one turn.
    for (int most = 0; most < 1000; ++most) {
      sockaddr_ll from{};
      socklen_t size = sizeof from;
      const ssize_t got = ::recvfrom(fd_.get(), packet.data(), packet.size(), 0,
                                     reinterpret_cast<sockaddr*>(&from), &size);
      if (got <= 0) return;
      const auto bytes = std::span<const std::uint8_t>(packet).first(static_cast<std::size_t>(got));
      if (!is_probe(bytes, flow_, token_)) continue;
      const auto link = static_cast<unsigned>(from.sll_ifindex);
      if (link == shapers_[0] || link == shapers_[1]) continue;
      if (from.sll_pkttype != PACKET_OUTGOING)
        left_ = left_ || link == near_;
      else if (link != near_)
        passed_by_ = link;
    }
  }

 private:
  UniqueFd fd_;
  unsigned near_;
  std::array<unsigned, 2> shapers_;
  Flow flow_;
  std::uint32_t token_;
  bool left_ = false;
  unsigned passed_by_ = 0;
};

}  // namespace

Result<ProbeResult> probe(const UniqueFd& panal_namespace, const UniqueFd& desktop_namespace,
                          const Addresses& from, const Flow& flow, milliseconds patience) {
  PANAL_ASSIGN(const std::uint32_t token, random_token());
  UniqueFd all;
  unsigned near = 0;
  std::array<unsigned, 2> shapers{};
  // A socket stays in the namespace of the thread that opened it.
  PANAL_TRY(run_inside(panal_namespace, [&]() -> Result<void> {
    PANAL_ASSIGN(near, index_of(from.link));
    shapers = {::if_nametoindex(kSendShaper), ::if_nametoindex(kReceiveShaper)};
    PANAL_ASSIGN(all, open_packets(ETH_P_ALL, 0));
    return filter(all, flow);
  }));
  PANAL_TRY(run_inside(desktop_namespace, [&] { return send_inside(from, flow, token); }));
  Watch watch(std::move(all), near, shapers, flow, token);
  const auto end = steady_clock::now() + patience;
  while (true) {
    watch.read();
    const auto rest = std::chrono::duration_cast<milliseconds>(end - steady_clock::now());
    if (watch.passed_by() != 0 || rest.count() <= 0) break;
    pollfd wait{watch.fd(), POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(rest.count())) < 0 && errno != EINTR)
      return fail_errno("wait for the packet");
  }
  ProbeResult result{watch.left(), watch.passed_by() != 0, ""};
  if (!result.passed) return result;
  PANAL_TRY(run_inside(panal_namespace, [&]() -> Result<void> {
    std::array<char, IF_NAMESIZE> name{};
    if (::if_indextoname(watch.passed_by(), name.data()) != nullptr) result.by = name.data();
    return {};  // a link that is gone meanwhile has no name
  }));
  return result;
}

}  // namespace panal::netconfine
