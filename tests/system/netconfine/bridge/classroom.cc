#include "tests/system/netconfine/bridge/classroom.h"

// clang-format off: glibc's headers before linux/*.h, which then leave out what they declare.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <linux/netlink.h>
// clang-format on

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "netconfine/link/find_link.h"
#include "netconfine/link/route_messages.h"
#include "netconfine/link/routed_veth.h"
#include "netconfine/netlink/enter.h"
#include "netconfine/policy/prefix.h"

namespace panal::netconfine::testing {
namespace {

constexpr std::uint16_t kEarPort = 7070;
// What is sent on one machine has arrived when the call returns, but for what links drop that have
// just come up; the rest is for a busy one.
constexpr int kRounds = 150, kRoundsApart = 10;
constexpr useconds_t kRoundUs = 10'000;

void must_be(const Result<void>& result) {
  if (!result) throw std::runtime_error(result.error().message());
}

bool is_v6(const std::string& address) { return address.find(':') != std::string::npos; }

/// As say(), to everybody if the address is everybody's.
void shout(const UniqueFd& network, const std::string& address) {
  if (is_v6(address)) {
    EXPECT_TRUE(say(network, address, kEarPort)) << address;
    return;
  }
  must_be(run_inside(network, [&]() -> Result<void> {
    const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int one = 1;
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(kEarPort);
    if (!fd || ::inet_pton(AF_INET, address.c_str(), &to.sin_addr) != 1 ||
        ::setsockopt(fd.get(), SOL_SOCKET, SO_BROADCAST, &one, sizeof(one)) != 0 ||
        ::sendto(fd.get(), "hello", 5, 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 5)
      return fail_errno("send to", address);
    return {};
  }));
}

}  // namespace

Classroom::Classroom(unsigned most) {
  must_be(run_inside(panal_, [] { return prepare_panal_namespace(false); }));
  open_again(most);
}

void Classroom::open_again(unsigned most) {
  must_be(run_inside(panal_, [&]() -> Result<void> {
    auto opened = GroupBridges::open(most);
    if (!opened) return tl::make_unexpected(opened.error());
    bridges_.emplace(std::move(*opened));
    return {};
  }));
}

void Classroom::add(DesktopId id) {
  inside_[id] = new_network_namespace();
  must_be(run_inside(inside(id), []() -> Result<void> {
    PANAL_ASSIGN(auto socket, NetlinkSocket::open(NETLINK_ROUTE));
    PANAL_ASSIGN(const auto loopback, find_link(socket, "lo"));
    std::vector<Message> messages;
    messages.push_back(link_up(loopback.index));
    return socket.transact(std::move(messages));
  }));
}

void Classroom::add_with_routed_link(DesktopId id) {
  add(id);
  const Addresses own = addresses(id);
  must_be(run_inside(inside(id), prepare_desktop_namespace));
  must_be(run_inside(panal_, [&]() -> Result<void> {
    PANAL_ASSIGN(auto veths, RoutedVeths::open());
    PANAL_TRY(veths.add(own, inside(id)));
    return {};
  }));
  must_be(run_inside(inside(id), [&] { return configure_desktop_end(own); }));
  must_be(run_inside(panal_, [&]() -> Result<void> {
    PANAL_ASSIGN(auto veths, RoutedVeths::open());
    return veths.bring_up(own);
  }));
  await_link(panal_, own.link, inside(id));
}

Addresses Classroom::addresses(DesktopId id) {
  return *AddressPool::parse("10.77.0.0/16", "fd77:70::/64")->of(id);
}

GroupPrefixes Classroom::prefixes() { return {*parse_prefix("10.77.0.0/16")}; }

Result<void> Classroom::try_join(DesktopId id, std::uint32_t group) {
  return bridges().join(group, addresses(id), inside(id), prefixes());
}

void Classroom::join(DesktopId id, std::uint32_t group) {
  must_be(try_join(id, group));
  meant_[id] = {addresses(id), group};
}

void Classroom::leave(DesktopId id) {
  must_be(bridges().leave(id));
  meant_.erase(id);
}

std::string Classroom::audit() {
  std::vector<GroupMember> meant;
  for (const auto& [id, member] : meant_) meant.push_back(member);
  const auto drifts = bridges().audit(meant);
  if (!drifts) return drifts.error().message();
  std::string text;
  for (const Drift& drift : *drifts) text += drift.where + " " + drift.what + "\n";
  return text;
}

std::string Classroom::links() const {
  return output_inside(
      panal_, "ip -br link show | grep -o '^pn[bgtu][-0-9a-f]*' | LC_ALL=C sort | tr '\\n' ' '");
}

bool Classroom::hears(DesktopId to, DesktopId from, bool v6) {
  UdpEar ear(inside(to), v6 ? AF_INET6 : AF_INET, kEarPort);
  for (int round = 0; round < kRounds; ++round) {
    if (round % kRoundsApart == 0) shout(inside(from), v6 ? "ff02::1" : "10.77.255.255");
    if (ear.heard() > 0) return true;
    ::usleep(kRoundUs);
  }
  return false;
}

std::vector<DesktopId> Classroom::who_hears(DesktopId from, const std::string& address,
                                            const std::vector<DesktopId>& ears) {
  std::vector<UdpEar> open;
  for (const DesktopId id : ears)
    open.emplace_back(inside(id), is_v6(address) ? AF_INET6 : AF_INET, kEarPort);
  shout(inside(from), address);
  std::vector<DesktopId> heard;
  for (int round = 0; round < kRounds / 2 && heard.size() < ears.size(); ++round) {
    ::usleep(kRoundUs);
    for (std::size_t i = 0; i < ears.size(); ++i)
      if (open[i].heard() > 0) heard.push_back(ears[i]);
  }
  std::sort(heard.begin(), heard.end());
  return heard;
}

}  // namespace panal::netconfine::testing
