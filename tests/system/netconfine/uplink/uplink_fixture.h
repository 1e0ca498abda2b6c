#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/log.h"
#include "netconfine/address/address_pool.h"
#include "netconfine/link/routed_veth.h"
#include "netconfine/netlink/enter.h"
#include "netconfine/policy/prefix.h"
#include "netconfine/uplink/uplink.h"
#include "tests/support/patience.h"
#include "tests/system/netconfine/sandbox.h"

namespace panal::netconfine {

/// Three namespaces play: a machine in the LAN, the host, Panal's; a fourth is a desktop. No rules
/// of Panal's firewall: what is held back here is held back by the uplink's own.
class UplinkTest : public ::testing::Test {
 protected:
  /// Of all datagrams.
  static constexpr std::uint16_t kPort = 7777;

  static int hear(testing::UdpEar& ear, int count) {
    int heard = 0;
    for (int i = 0; i < 200 * patience() && heard < count; ++i) {
      heard += ear.heard();
      if (heard < count) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return heard;
  }
  void SetUp() override {
    // lan0 192.168.1.1 --- eth0 192.168.1.2 of the host, which has a second card, eth1,
    // with 10.9.0.1 behind it.
    const std::string names =
        "ip link add eth0 type veth peer name lan0 && "
        "ip link add eth1 type veth peer name other0 && ";
    ASSERT_EQ(
        testing::shell_inside(host_, names + "ip addr add 192.168.1.2/24 dev eth0 && "
                                             "ip addr add 10.9.0.2/24 dev eth1 && "
                                             "ip -6 addr add 2001:db8:1::2/64 dev eth0 nodad && "
                                             "ip link set lo up && ip link set eth0 up && "
                                             "ip link set eth1 up"),
        0);
    move("lan0", lan_);
    move("other0", other_);
    ASSERT_EQ(testing::shell_inside(lan_,
                                    "ip addr add 192.168.1.1/24 dev lan0 && ip link set lo up && "
                                    "ip -6 addr add 2001:db8:1::1/64 dev lan0 nodad && "
                                    "ip addr add 8.8.8.8/32 dev lo && ip link set lan0 up"),
              0);
    ASSERT_EQ(
        testing::shell_inside(other_,
                              "ip addr add 10.9.0.1/24 dev other0 && ip link set other0 up && "
                              "ip route add default via 10.9.0.2"),
        0);
    ASSERT_EQ(testing::shell_inside(host_, "ip route add default via 192.168.1.1"), 0);
    // Listing may make its tables.
    ASSERT_EQ(
        testing::shell_inside(host_, "iptables-nft -S >/dev/null && ip6tables-nft -S >/dev/null"),
        0);
    ASSERT_TRUE(run_inside(panal_, [] { return prepare_panal_namespace(true); }));
    // What Network does where rules let something out.
    ASSERT_EQ(testing::shell_inside(panal_,
                                    "echo 1 > /proc/sys/net/ipv4/ip_forward && "
                                    "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"),
              0);
    add_desktop(1);
  }
  void move(const std::string& link, const UniqueFd& to) const {
    const std::string path =
        "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(to.get());
    ASSERT_EQ(testing::shell_inside(host_, "ip link set " + link + " netns " + path), 0);
  }
  void add_desktop(DesktopId id) {
    const auto addresses = *pool_.of(id);
    auto desktop = testing::new_network_namespace();
    ASSERT_TRUE(run_inside(desktop, prepare_desktop_namespace));
    ASSERT_TRUE(run_inside(panal_, [&]() -> Result<void> {
      PANAL_ASSIGN(auto veths, RoutedVeths::open());
      PANAL_TRY(veths.add(addresses, desktop));
      PANAL_TRY(run_inside(desktop, [&] { return configure_desktop_end(addresses); }));
      return veths.bring_up(addresses);
    }));
    testing::await_link(panal_, addresses.link, desktop);
    desktops_.push_back(std::move(desktop));
  }
  std::unique_ptr<Uplink> open(const UplinkSettings& settings) const {
    const auto plan =
        parse_uplink(settings, *parse_prefix("10.77.0.0/16"), *parse_prefix("fd77:70::/64"));
    EXPECT_TRUE(plan) << plan.error().message();
    auto uplink = Uplink::open(*host_.duplicate(), *panal_.duplicate(), *plan, Logger::silent());
    EXPECT_TRUE(uplink) << uplink.error().message();
    return std::move(*uplink);
  }
  void up(Uplink& uplink) const {
    const auto done = uplink.up();
    ASSERT_TRUE(done) << done.error().message() << "\n"
                      << testing::output_inside(panal_, "ip addr; ip route show table all");
  }
  static std::string drifts(Uplink& uplink) {
    const auto found = uplink.audit();
    if (!found) return found.error().message();
    std::string text;
    for (const auto& drift : *found) text += drift.where + " " + drift.what + "; ";
    return text;
  }
  [[nodiscard]] const UniqueFd& desktop() const { return desktops_.front(); }
  [[nodiscard]] std::string host(const std::string& command) const {
    return testing::output_inside(host_, command);
  }
  // All of the host that an uplink could leave something in.
  [[nodiscard]] std::string host_state() const {
    return host(
        "ip -br link show | sed 's/[@ ].*//' | sort; ip route | sed 's/ linkdown//'; ip -6 route | "
        "grep -v '^fe80'; "
        "nft -s list ruleset; iptables-nft -S 2>/dev/null; "
        "cat /proc/sys/net/ipv4/conf/*/forwarding | sort | uniq -c; "
        "cat /proc/sys/net/ipv4/conf/eth0/forwarding /proc/sys/net/ipv4/ip_forward");
  }
  void like_docker() const {
    ASSERT_EQ(
        testing::shell_inside(host_,
                              "echo 1 > /proc/sys/net/ipv4/ip_forward && "
                              "iptables-nft -P FORWARD DROP && iptables-nft -N DOCKER-USER && "
                              "iptables-nft -A DOCKER-USER -j RETURN && "
                              "iptables-nft -A FORWARD -j DOCKER-USER"),
        0);
  }

  AddressPool pool_ = *AddressPool::parse("10.77.0.0/16", "fd77:70::/64");
  UniqueFd lan_ = testing::new_network_namespace(), other_ = testing::new_network_namespace();
  UniqueFd host_ = testing::new_network_namespace(), panal_ = testing::new_network_namespace();
  std::vector<UniqueFd> desktops_;
  const UplinkSettings veth_{.kind = "veth", .device = "eth0"};
};

}  // namespace panal::netconfine
