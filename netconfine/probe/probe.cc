#include "netconfine/probe/probe.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "netconfine/link/routed_veth.h"
#include "netconfine/netlink/enter.h"
#include "netconfine/probe/packet.h"

namespace panal::netconfine {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// A packet socket on one link of the calling thread's namespace that sees packets from their IP
/// header on. `protocol`: ETH_P_ALL sees those that go out as well.
Result<UniqueFd> open_packets(const std::string& link, std::uint16_t protocol) {
  const unsigned index = ::if_nametoindex(link.c_str());
  if (index == 0) return fail(ENODEV, "there is no link " + link);
  UniqueFd fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno("open a packet socket for", link);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(protocol);
  address.sll_ifindex = static_cast<int>(index);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno("bind a packet socket to", link);
  return fd;
}

Result<void> send(const UniqueFd& fd, const Probe& what, std::uint32_t token) {
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_protocol = htons(what.flow.v6 ? ETH_P_IPV6 : ETH_P_IP);
  to.sll_ifindex = static_cast<int>(::if_nametoindex(kInsideName));
  to.sll_halen = static_cast<unsigned char>(what.from.gateway_mac.size());
  std::copy(what.from.gateway_mac.begin(), what.from.gateway_mac.end(), std::begin(to.sll_addr));
  const auto packet = probe_packet(what.flow, token);
  const ssize_t sent = ::sendto(fd.get(), packet.data(), packet.size(), 0,
                                reinterpret_cast<const sockaddr*>(&to), sizeof to);
  if (sent != static_cast<ssize_t>(packet.size()))
    return fail_errno("send a packet from inside the desktop at", kInsideName);
  return {};
}

/// Reads what has come; true once the probe was among it, in the wanted direction.
bool seen(const UniqueFd& fd, const Probe& what, std::uint32_t token, bool outgoing) {
  std::array<std::uint8_t, 2048> packet{};
  // A desktop may send faster than this reads: what is queued now is enough for one turn.
  for (int most = 0; most < 1000; ++most) {
    sockaddr_ll from{};
    socklen_t size = sizeof from;
    const ssize_t got = ::recvfrom(fd.get(), packet.data(), packet.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from), &size);
    if (got <= 0) return false;
    if ((from.sll_pkttype == PACKET_OUTGOING) != outgoing) continue;
    if (is_probe(std::span(packet).first(static_cast<std::size_t>(got)), what.flow, token))
      return true;
  }
  return false;
}

Result<std::uint32_t> random_token() {
  std::uint32_t token = 0;
  if (::getrandom(&token, sizeof token, 0) != static_cast<ssize_t>(sizeof token))
    return fail_errno("getrandom");
  return token;
}

}  // namespace

Result<ProbeResult> probe(const UniqueFd& panal_namespace, const UniqueFd& desktop_namespace,
                          const Probe& what, milliseconds patience) {
  PANAL_ASSIGN(const std::uint32_t token, random_token());
  // Sockets stay in the namespace of the thread that opened them.
  UniqueFd near, far, inside;
  PANAL_TRY(run_inside(panal_namespace, [&]() -> Result<void> {
    PANAL_ASSIGN(near, open_packets(what.from.link, ETH_P_ALL));
    PANAL_ASSIGN(far, open_packets(what.out, ETH_P_ALL));
    return {};
  }));
  PANAL_TRY(run_inside(desktop_namespace, [&]() -> Result<void> {
    PANAL_ASSIGN(inside, open_packets(kInsideName, 0));
    return send(inside, what, token);
  }));
  ProbeResult result;
  const auto end = steady_clock::now() + patience;
  while (true) {
    result.left = result.left || seen(near, what, token, false);
    result.passed = seen(far, what, token, true);
    result.left = result.left || result.passed;  // it came between the two looks
    const auto rest = std::chrono::duration_cast<milliseconds>(end - steady_clock::now());
    if (result.passed || rest.count() <= 0) return result;
    std::array<pollfd, 2> waits{{{near.get(), POLLIN, 0}, {far.get(), POLLIN, 0}}};
    if (::poll(waits.data(), waits.size(), static_cast<int>(rest.count())) < 0 && errno != EINTR)
      return fail_errno("wait for the packet");
  }
}

}  // namespace panal::netconfine
