#include "tests/system/netconfine/iptables/plain_world.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "netconfine/link/routed_veth.h"
#include "netconfine/netlink/enter.h"
#include "netconfine/policy/prefix.h"

namespace panal::netconfine::testing {
namespace {

// What is sent on one machine has arrived when the call returns; the rest is for a busy one.
constexpr int kPatienceMs = 30;

void must(const Result<void>& result) {
  if (!result) throw std::runtime_error(result.error().message());
}

void shell(const UniqueFd& network, const std::string& command) {
  if (shell_inside(network, "set -e; " + command) != 0) throw std::runtime_error(command);
}

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Address address_of(const std::string& text, std::uint16_t port) {
  Address address;
  sockaddr_in four{};
  sockaddr_in6 six{};
  if (::inet_pton(AF_INET, text.c_str(), &four.sin_addr) == 1) {
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    std::memcpy(&address.storage, &four, sizeof(four));
    address.length = sizeof(four);
  } else if (::inet_pton(AF_INET6, text.c_str(), &six.sin6_addr) == 1) {
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    std::memcpy(&address.storage, &six, sizeof(six));
    address.length = sizeof(six);
  } else {
    throw std::invalid_argument(text);
  }
  return address;
}

UniqueFd bound(const UniqueFd& network, const std::string& address, std::uint16_t port, int type,
               int protocol = 0) {
  UniqueFd fd;
  must(run_inside(network, [&]() -> Result<void> {
    const Address local = address_of(address, port);
    fd = UniqueFd(::socket(local.storage.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
    const int one = 1;
    if (fd) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (!fd || ::bind(fd.get(), local.get(), local.length) != 0)
      return fail_errno("bind to", address);
    return {};
  }));
  return fd;
}

bool readable(const UniqueFd& fd) {
  pollfd waiting{fd.get(), POLLIN, 0};
  return ::poll(&waiting, 1, kPatienceMs) == 1 && (waiting.revents & POLLIN) != 0;
}

bool udp(const UniqueFd& from, const std::string& source, const UniqueFd& to,
         const std::string& destination, std::uint16_t port) {
  const UniqueFd ear = bound(to, destination, port, SOCK_DGRAM);
  const UniqueFd mouth = bound(from, source, 0, SOCK_DGRAM);
  const Address target = address_of(destination, port);
  (void)::sendto(mouth.get(), "hello", 5, 0, target.get(), target.length);
  return readable(ear);
}

bool tcp(const UniqueFd& from, const std::string& source, const UniqueFd& to,
         const std::string& destination, std::uint16_t port) {
  const UniqueFd ear = bound(to, destination, port, SOCK_STREAM);
  if (::listen(ear.get(), 1) != 0) throw std::runtime_error("listen");
  const UniqueFd mouth = bound(from, source, 0, SOCK_STREAM);
  const Address target = address_of(destination, port);
  (void)::connect(mouth.get(), target.get(), target.length);
  return readable(ear);
}

/// Whether the answer comes.
bool ping(const UniqueFd& from, const std::string& source, const std::string& destination) {
  const Address target = address_of(destination, 0);
  const bool v6 = target.storage.ss_family == AF_INET6;
  const UniqueFd fd =
      bound(from, source, 0, SOCK_RAW, v6 ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP});
  static std::uint16_t number = 0;
  ++number;  // a new one is a new connection to conntrack
  std::uint8_t request[8] = {static_cast<std::uint8_t>(v6 ? 128 : 8), 0, 0, 0, 0x70, 0, 0, 0};
  request[4] = static_cast<std::uint8_t>(number >> 8);
  request[5] = static_cast<std::uint8_t>(number);
  if (!v6) {
    std::uint32_t sum = 0;
    for (int i = 0; i < 8; i += 2)
      sum += static_cast<std::uint32_t>(request[i] << 8 | request[i + 1]);
    sum = ~((sum >> 16) + (sum & 0xffff));
    request[2] = static_cast<std::uint8_t>(sum >> 8);
    request[3] = static_cast<std::uint8_t>(sum);
  }
  (void)::sendto(fd.get(), request, sizeof(request), 0, target.get(), target.length);
  while (readable(fd)) {
    std::uint8_t packet[256];
    const auto length = ::recv(fd.get(), packet, sizeof(packet), 0);
    const std::uint8_t* message = packet + (v6 ? 0 : 20);
    if (length >= (v6 ? 8 : 28) && message[0] == (v6 ? 129 : 0) && message[4] == request[4] &&
        message[5] == request[5])
      return true;
  }
  return false;
}

}  // namespace

PlainWorld::PlainWorld() {
  must(run_inside(panal_, [] { return prepare_panal_namespace(true); }));
  shell(panal_, fmt::format("ip link add up0 type veth peer name out0 && "
                            "ip link set out0 netns /proc/{}/fd/{}",
                            ::getpid(), outside_.get()));
  shell(panal_,
        "ip link set lo up; ip addr add 192.0.2.2/24 dev up0; "
        "ip addr add 2001:db8::2/64 dev up0 nodad; ip addr add fe80::2/64 dev up0 nodad; "
        "ip link set up0 up; "
        "ip route add default via 192.0.2.1; ip route add default via 2001:db8::1; "
        "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding; "
        "echo 0 > /proc/sys/net/ipv4/conf/up0/arp_ignore; "
        "echo 0 > /proc/sys/net/ipv4/conf/all/arp_ignore");
  std::string addresses;
  for (const char* address : kOutside4)
    addresses += fmt::format("ip addr add {}/32 dev out0; ", address);
  for (const char* address : kOutside6)
    addresses += fmt::format("ip addr add {}/128 dev out0 nodad; ", address);
  shell(outside_,
        "ip link set lo up; ip addr add 192.0.2.1/24 dev out0; "
        "ip addr add 2001:db8::1/64 dev out0 nodad; " +
            addresses +
            "ip link set out0 up; ip route add 10.77.0.0/16 via 192.0.2.2; "
            "ip route add fd77:70::/64 via 2001:db8::2");
}

Addresses PlainWorld::addresses(DesktopId id) {
  return *AddressPool::parse("10.77.0.0/16", "fd77:70::/64")->of(id);
}

void PlainWorld::add_desktop(DesktopId id) {
  auto desktop = std::make_unique<Desktop>();
  desktop->network = desktop->process.network();
  const Addresses own = addresses(id);
  must(run_inside(desktop->network, prepare_desktop_namespace));
  must(run_inside(panal_, [&]() -> Result<void> {
    PANAL_ASSIGN(auto veths, RoutedVeths::open());
    PANAL_TRY(veths.add(own, desktop->network));
    PANAL_TRY(run_inside(desktop->network, [&] { return configure_desktop_end(own); }));
    return veths.bring_up(own);
  }));
  await_link(panal_, own.link, desktop->network);
  desktops_[id] = std::move(desktop);
}

PolicySet PlainWorld::policies() {
  const auto prefixes = [](std::initializer_list<const char*> texts) {
    std::vector<Prefix> all;
    for (const char* text : texts) all.push_back(*parse_prefix(text));
    return all;
  };
  constexpr PortRange kWhole;
  PolicySet set;
  const auto service = [&](Service one) { set.services[one.name] = one; };
  const auto policy = [&](NetPolicy one) { set.policies[one.name] = one; };
  service({"dns",
           prefixes({"10.1.0.1", "fd01::1"}),
           {},
           {{Protocol::kUdp, {53, 53}}, {Protocol::kTcp, {53, 53}}}});
  service({"web", prefixes({"10.1.0.0/24", "fd01::/64"}), {}, {{Protocol::kTcp, {8000, 8010}}}});
  service({"ping", prefixes({"10.1.0.0/16", "fd01::/32"}), {}, {{Protocol::kIcmp, kWhole}}});
  service({"internet", prefixes({"0.0.0.0/0", "::/0"}), prefixes({"10.0.0.0/8", "fc00::/7"}), {}});
  service({"support", prefixes({"10.9.0.9", "fd09::9"}), {}, {}});
  policy({.name = "office",
          .reach = {"dns", "ping", "web"},
          .reached_by = {"support"},
          .group = "class"});
  policy({.name = "pupil", .group = "class"});
  policy({.name = "free", .reach = {"internet"}});
  policy({.name = "lonely"});
  return set;
}

Ruleset PlainWorld::rules(bool masquerade) {
  const auto rules = compile(
      policies(), {.uplink = kUplink,
                   .masquerade = masquerade,
                   .desktops = {*parse_prefix("10.77.0.0/16"), *parse_prefix("fd77:70::/64")},
                   .uses = {{"office", "t1"}, {"pupil", "t1"}, {"office", "t2"}}});
  if (!rules) throw std::runtime_error(rules.error().message());
  return *rules;
}

bool arrives(const UniqueFd& from, const std::string& source, const UniqueFd& to,
             const std::string& destination, Protocol protocol, std::uint16_t port) {
  switch (protocol) {
    case Protocol::kTcp: return tcp(from, source, to, destination, port);
    case Protocol::kIcmp: return ping(from, source, destination);
    case Protocol::kUdp:
    case Protocol::kAny: break;
  }
  return udp(from, source, to, destination, port);
}

Conversation::Conversation(const UniqueFd& client, const std::string& source,
                           const UniqueFd& server, const std::string& destination,
                           std::uint16_t port)
    : client_(bound(client, source, 0, SOCK_DGRAM)),
      server_(bound(server, destination, port, SOCK_DGRAM)) {
  const Address target = address_of(destination, port);
  if (::connect(client_.get(), target.get(), target.length) != 0)
    throw std::runtime_error("connect");
}

bool Conversation::ask() {
  (void)::send(client_.get(), "hello", 5, 0);
  if (!readable(server_)) return false;
  sockaddr_storage from{};
  socklen_t length = sizeof(from);
  char text[64];
  (void)::recvfrom(server_.get(), text, sizeof(text), 0, reinterpret_cast<sockaddr*>(&from),
                   &length);
  const auto* first = reinterpret_cast<const std::uint8_t*>(&from);
  peer_.assign(first, first + length);
  return true;
}

bool Conversation::answer() {
  (void)::sendto(server_.get(), "there", 5, 0, reinterpret_cast<const sockaddr*>(peer_.data()),
                 static_cast<socklen_t>(peer_.size()));
  if (!readable(client_)) return false;
  char text[64];
  (void)::recv(client_.get(), text, sizeof(text), 0);
  return true;
}

}  // namespace panal::netconfine::testing
