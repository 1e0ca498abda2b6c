// What a desktop's root does to its network, run inside the desktop: the attacks of
// bench/redteam/attacks. Static: images have no compiler and no python.
//
// network-attack send ME VICTIM THIRD   sends every attack by eth0, as desktop ME; ids are numbers.
//                                       Prints "sent N"
// network-attack say ME OTHER           an honest datagram of each family to desktop OTHER
// network-attack hear SECONDS           what comes in at eth0 until both honest ones have come, or
// so
//                                       long at most: a line for each attack that is heard, its
//                                       topic and name; then "heard N" and, of what was honest,
//                                       "honest N". First "listening 1"
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>

#include "bench/redteam/attacks/attack.h"

namespace {

using namespace panal::bench;
using panal::netconfine::Addresses;

int by_eth0() {
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex("eth0"));
  if (fd < 0 || bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    std::perror("network-attack: eth0");
    std::exit(1);
  }
  return fd;
}

// As netconfine/address gives them out by a configuration that says nothing else.
Addresses desktop(unsigned id) {
  const auto high = static_cast<std::uint8_t>(id >> 8U), low = static_cast<std::uint8_t>(id);
  Addresses own;
  own.ipv4 = {10, 77, high, low};
  own.ipv6 = {0xfd, 0x77, 0x70, 0x61, 0x6e, 0x61, 0, 0, 0, 0, 0, 0, 0, 0, high, low};
  own.mac = {0x02, 0x70, 0, 0, high, low};
  own.gateway_mac = {0x06, 0x70, 0, 0, high, low};
  return own;
}

int send_all(const char* me, const char* victim, const char* third) {
  const auto named = [](const char* id) { return desktop(static_cast<unsigned>(std::atoi(id))); };
  const int fd = by_eth0();
  std::size_t sent = 0;
  for (const Attack& attack : all_attacks(panal_ground(named(me), named(victim), named(third)))) {
    bool good = true;
    for (const Octets& frame : attack.frames)
      good = write(fd, frame.data(), frame.size()) == static_cast<ssize_t>(frame.size()) && good;
    if (good) ++sent;
  }
  std::printf("sent %zu\n", sent);
  return 0;
}

const Octets kHonest = {'h', 'o', 'n', 'e', 's', 't', '!', '!'};

int say(const char* me, const char* other) {
  const Addresses own = desktop(static_cast<unsigned>(std::atoi(me)));
  const Addresses to = desktop(static_cast<unsigned>(std::atoi(other)));
  const int fd = by_eth0();
  const Ports ports{};
  const Octets four =
      ip(own.ipv4, to.ipv4, kUdp, udp_segment(raw(own.ipv4), raw(to.ipv4), ports, kHonest)).bytes;
  const Octets six =
      ip(own.ipv6, to.ipv6, kUdp, udp_segment(raw(own.ipv6), raw(to.ipv6), ports, kHonest)).bytes;
  bool good = true;
  for (const Octets& frame : {ethernet(own.gateway_mac, own.mac, kTypeIp4, four),
                              ethernet(own.gateway_mac, own.mac, kTypeIp6, six)})
    good = write(fd, frame.data(), frame.size()) == static_cast<ssize_t>(frame.size()) && good;
  return good ? 0 : 1;
}

bool has(const unsigned char* first, const unsigned char* last, const Octets& mark) {
  return std::search(first, last, mark.begin(), mark.end()) != last;
}

// IPv4 and IPv6: the last of all that is sent.
constexpr int kHonestKinds = 2;

int hear(int seconds) {
  // Marks do not depend on who is where.
  const auto attacks = all_attacks(Ground{});
  const int fd = by_eth0();
  std::set<std::string> heard;
  int honest = 0;
  std::printf("listening 1\n");
  (void)std::fflush(stdout);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  std::array<unsigned char, 4096> frame{};
  while (honest < kHonestKinds) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    pollfd waiting{fd, POLLIN, 0};
    if (poll(&waiting, 1, static_cast<int>(left.count())) <= 0) continue;
    sockaddr_ll from{};
    socklen_t length = sizeof from;
    const auto bytes =
        recvfrom(fd, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (bytes <= 0 || from.sll_pkttype == PACKET_OUTGOING) continue;
    const unsigned char* last = frame.data() + bytes;
    if (has(frame.data(), last, kHonest)) ++honest;
    for (const Attack& attack : attacks)
      if (has(frame.data(), last, attack.mark)) heard.insert(attack.topic + ": " + attack.name);
  }
  for (const auto& name : heard) std::printf("%s\n", name.c_str());
  std::printf("heard %zu\nhonest %d\n", heard.size(), honest);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "send" && argc == 5) return send_all(argv[2], argv[3], argv[4]);
  if (what == "say" && argc == 4) return say(argv[2], argv[3]);
  if (what == "hear" && argc == 3) return hear(std::atoi(argv[2]));
  std::fputs("usage: network-attack send ME VICTIM THIRD | say ME OTHER | hear SECONDS\n", stderr);
  return 2;
}
