// Three namespaces play: a machine in the LAN, the host, Panal's; a fourth is a desktop. No rules
// of Panal's firewall: what is held back here is held back by the uplink's own.
#include "netconfine/uplink/uplink.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <thread>

#include "netconfine/link/routed_veth.h"
#include "netconfine/netlink/enter.h"
#include "netconfine/policy/prefix.h"
#include "tests/support/patience.h"
#include "tests/system/netconfine/frames.h"
#include "tests/system/netconfine/sandbox.h"

namespace panal::netconfine {
namespace {

using testing::new_network_namespace;
using testing::output_inside;
using testing::shell_inside;
using testing::Tap;
using testing::UdpEar;

constexpr std::uint16_t kPort = 7777;

int hear(UdpEar& ear, int count) {
  int heard = 0;
  for (int i = 0; i < 200 * patience() && heard < count; ++i) {
    heard += ear.heard();
    if (heard < count) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return heard;
}

class UplinkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // lan0 192.168.1.1 --- eth0 192.168.1.2 of the host, which has a second card, eth1,
    // with 10.9.0.1 behind it.
    const std::string names =
        "ip link add eth0 type veth peer name lan0 && "
        "ip link add eth1 type veth peer name other0 && ";
    ASSERT_EQ(shell_inside(host_, names + "ip addr add 192.168.1.2/24 dev eth0 && "
                                          "ip addr add 10.9.0.2/24 dev eth1 && "
                                          "ip -6 addr add 2001:db8:1::2/64 dev eth0 nodad && "
                                          "ip link set lo up && ip link set eth0 up && "
                                          "ip link set eth1 up"),
              0);
    move("lan0", lan_);
    move("other0", other_);
    ASSERT_EQ(shell_inside(lan_,
                           "ip addr add 192.168.1.1/24 dev lan0 && ip link set lo up && "
                           "ip -6 addr add 2001:db8:1::1/64 dev lan0 nodad && "
                           "ip addr add 8.8.8.8/32 dev lo && ip link set lan0 up"),
              0);
    ASSERT_EQ(shell_inside(other_,
                           "ip addr add 10.9.0.1/24 dev other0 && ip link set other0 up && "
                           "ip route add default via 10.9.0.2"),
              0);
    ASSERT_EQ(shell_inside(host_, "ip route add default via 192.168.1.1"), 0);
    // Listing may make its tables.
    ASSERT_EQ(shell_inside(host_, "iptables-nft -S >/dev/null && ip6tables-nft -S >/dev/null"), 0);
    ASSERT_TRUE(run_inside(panal_, [] { return prepare_panal_namespace(true); }));
    // What Network does where rules let something out.
    ASSERT_EQ(shell_inside(panal_,
                           "echo 1 > /proc/sys/net/ipv4/ip_forward && "
                           "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"),
              0);
    add_desktop(1);
  }
  void move(const std::string& link, const UniqueFd& to) const {
    const std::string path =
        "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(to.get());
    ASSERT_EQ(shell_inside(host_, "ip link set " + link + " netns " + path), 0);
  }
  void add_desktop(DesktopId id) {
    const auto addresses = *pool_.of(id);
    auto desktop = new_network_namespace();
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
                      << output_inside(panal_, "ip addr; ip route show table all");
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
    return output_inside(host_, command);
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
    ASSERT_EQ(shell_inside(host_,
                           "echo 1 > /proc/sys/net/ipv4/ip_forward && "
                           "iptables-nft -P FORWARD DROP && iptables-nft -N DOCKER-USER && "
                           "iptables-nft -A DOCKER-USER -j RETURN && "
                           "iptables-nft -A FORWARD -j DOCKER-USER"),
              0);
  }

  AddressPool pool_ = *AddressPool::parse("10.77.0.0/16", "fd77:70::/64");
  UniqueFd lan_ = new_network_namespace(), other_ = new_network_namespace();
  UniqueFd host_ = new_network_namespace(), panal_ = new_network_namespace();
  std::vector<UniqueFd> desktops_;
  const UplinkSettings veth_{.kind = "veth", .device = "eth0"};
};

TEST_F(UplinkTest, WithoutOneNothingGoesOutAndNothingIsDoneToTheHost) {
  const auto before = host_state();
  const auto uplink = open({});
  up(*uplink);
  EXPECT_EQ(host_state(), before);
  EXPECT_EQ(drifts(*uplink), "");
  UdpEar ear(lan_, AF_INET, kPort);
  (void)testing::say(desktop(), "192.168.1.1", kPort);
  EXPECT_EQ(ear.heard(), 0);
}

TEST_F(UplinkTest, AVethLetsOutUnderTheHostsAddressAndAnswersBack) {
  const auto uplink = open(veth_);
  up(*uplink);
  EXPECT_EQ(drifts(*uplink), "");
  Tap wire(lan_, "lan0");
  UdpEar ear(lan_, AF_INET, kPort);
  ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
  EXPECT_EQ(hear(ear, 1), 1);
  ASSERT_TRUE(testing::say(desktop(), "8.8.8.8", kPort)) << "behind the router";
  EXPECT_EQ(hear(ear, 1), 1);
  for (const auto& frame : wire.received()) {
    if (frame.substr(24, 4) != "0800") continue;
    EXPECT_EQ(frame.substr(52, 8), "c0a80102") << "the sender is the host: " << frame;
  }
  // A whole conversation.
  EXPECT_EQ(shell_inside(desktop(),
                         "python3 - <<'END'\n"
                         "import socket\n"
                         "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                         "s.settimeout(1)\n"
                         "s.connect(('192.168.1.1', 9))\n"
                         "s.send(b'x')\n"
                         "try: s.recv(1)\n"
                         "except ConnectionRefusedError: raise SystemExit(0)\n"
                         "raise SystemExit(1)\nEND"),
            0)
      << "port unreachable is an answer that comes back";
}

TEST_F(UplinkTest, AVethLeavesTheHostAsItWas) {
  const auto before = host_state();
  const auto uplink = open(veth_);
  up(*uplink);
  EXPECT_NE(host_state(), before);
  ASSERT_TRUE(uplink->down());
  EXPECT_EQ(host_state(), before);
  ASSERT_TRUE(uplink->down()) << "twice is fine";
  UdpEar ear(lan_, AF_INET, kPort);
  (void)testing::say(desktop(), "192.168.1.1", kPort);
  EXPECT_EQ(ear.heard(), 0);
}

TEST_F(UplinkTest, WhatADryRunShowsIsWhatIsDone) {
  const auto uplink = open(veth_);
  const auto before = host_state();
  const auto lines = uplink->describe();
  ASSERT_TRUE(lines) << lines.error().message();
  EXPECT_EQ(host_state(), before) << "showing changes nothing";
  // A person types it, and gets the same table.
  const std::string panal =
      "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(panal_.get());
  for (auto line : *lines) {
    const bool inside = line.starts_with("# in panal's");
    for (std::size_t at; (at = line.find("<panal>")) != std::string::npos;) {
      line.replace(at, 7, panal);
    }
    EXPECT_EQ(shell_inside(inside ? panal_ : host_, "set -e\n" + line + "\n"), 0) << line;
  }
  const auto by_hand = host("nft -s -t list ruleset");
  UdpEar ear(lan_, AF_INET, kPort);
  ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
  EXPECT_EQ(hear(ear, 1), 1) << "it works typed by hand, too";
  up(*uplink);
  EXPECT_EQ(host("nft -s -t list ruleset"), by_hand);
}

TEST_F(UplinkTest, TheHostItselfAndItsOtherNetworksAreOutOfReach) {
  const auto uplink = open(veth_);
  up(*uplink);
  UdpEar host(host_, AF_INET, kPort), other(other_, AF_INET, kPort);
  for (const char* address : {"192.168.1.2", "10.9.0.2", "127.0.0.1", "169.254.1.2", "10.9.0.1",
                              "255.255.255.255", "192.168.1.255", "224.0.0.1"}) {
    (void)testing::say(desktop(), address, kPort);
  }
  // What was allowed comes last, and has arrived: then so would the others have.
  UdpEar lan(lan_, AF_INET, kPort);
  ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
  EXPECT_EQ(hear(lan, 1), 1);
  EXPECT_EQ(host.heard(), 0);
  EXPECT_EQ(other.heard(), 0);
}

TEST_F(UplinkTest, NobodyOutsideReachesDesktops) {
  const auto uplink = open(veth_);
  up(*uplink);
  UdpEar ear(desktop(), AF_INET, kPort);
  ASSERT_EQ(shell_inside(lan_, "ip route add 10.77.0.0/16 via 192.168.1.2"), 0);
  ASSERT_EQ(shell_inside(other_, "ip route replace 10.77.0.0/16 via 10.9.0.2"), 0);
  for (const auto* from : {&lan_, &other_, &host_}) {
    (void)testing::say(*from, "10.77.0.1", kPort);
  }
  UdpEar lan(lan_, AF_INET, kPort);
  ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
  EXPECT_EQ(hear(lan, 1), 1);
  EXPECT_EQ(ear.heard(), 0);
}

TEST_F(UplinkTest, AHostThatDidNotForwardDoesSoForDesktopsAlone) {
  const auto uplink = open(veth_);
  up(*uplink);
  ASSERT_EQ(shell_inside(lan_, "ip route add 10.9.0.0/24 via 192.168.1.2"), 0);
  UdpEar ear(other_, AF_INET, kPort);
  (void)testing::say(lan_, "10.9.0.1", kPort);
  UdpEar lan(lan_, AF_INET, kPort);
  ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
  EXPECT_EQ(hear(lan, 1), 1);
  EXPECT_EQ(ear.heard(), 0) << "the host has become a router between its networks";
}

TEST_F(UplinkTest, AHostThatDropsWhatItForwardsAsDockersDoes) {
  like_docker();
  const auto before = host_state();
  const auto uplink = open(veth_);
  up(*uplink);
  EXPECT_EQ(drifts(*uplink), "");
  UdpEar ear(lan_, AF_INET, kPort);
  ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
  EXPECT_EQ(hear(ear, 1), 1);
  EXPECT_NE(host("iptables-nft -S DOCKER-USER").find("panal-uplink"), std::string::npos);
  // Docker starts anew and flushes: seen, mended, not doubled.
  ASSERT_EQ(shell_inside(host_, "iptables-nft -F DOCKER-USER"), 0);
  EXPECT_NE(drifts(*uplink).find("misses the rule"), std::string::npos) << drifts(*uplink);
  up(*uplink);
  up(*uplink);
  EXPECT_EQ(host("iptables-nft -S DOCKER-USER | grep -c panal-uplink"), "2\n");
  ASSERT_EQ(shell_inside(host_, "iptables-nft -A DOCKER-USER -j RETURN"), 0);
  ASSERT_TRUE(uplink->down());
  EXPECT_EQ(host_state(), before);
}

TEST_F(UplinkTest, IPv6GoesOutWhereTheHostForwardsIt) {
  const auto silent = open(veth_);
  up(*silent);
  UdpEar ear(lan_, AF_INET6, kPort);
  (void)testing::say(desktop(), "2001:db8:1::1", kPort);
  EXPECT_EQ(ear.heard(), 0) << "this host does not";
  ASSERT_EQ(shell_inside(host_, "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"), 0);
  const auto uplink = open(veth_);
  up(*uplink);
  EXPECT_EQ(drifts(*uplink), "");
  ASSERT_TRUE(testing::say(desktop(), "2001:db8:1::1", kPort));
  EXPECT_EQ(hear(ear, 1), 1);
  UdpEar host(host_, AF_INET6, kPort);
  (void)testing::say(desktop(), "2001:db8:1::2", kPort);
  (void)testing::say(desktop(), "::1", kPort);
  ASSERT_TRUE(testing::say(desktop(), "2001:db8:1::1", kPort));
  EXPECT_EQ(hear(ear, 1), 1);
  EXPECT_EQ(host.heard(), 0);
}

TEST_F(UplinkTest, ANewProcessTakesOverAndDoublesNothing) {
  {
    const auto first = open(veth_);
    up(*first);
  }
  const auto before = host_state();
  UdpEar ear(lan_, AF_INET, kPort);
  const auto next = open(veth_);
  up(*next);
  EXPECT_EQ(host_state(), before);
  EXPECT_EQ(drifts(*next), "");
  ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
  EXPECT_EQ(hear(ear, 1), 1);
  // It still knows what the host was like before the first.
  ASSERT_TRUE(next->down());
  EXPECT_EQ(host("cat /proc/sys/net/ipv4/conf/eth0/forwarding"), "0\n");
}

TEST_F(UplinkTest, WhatTheHostWasLikeIsKnownWithoutItsTableOrItsLink) {
  for (const char* lost : {"nft flush ruleset", "ip link del panal-uplink"}) {
    {
      const auto first = open(veth_);
      up(*first);
    }
    ASSERT_EQ(shell_inside(host_, lost), 0);
    const auto next = open(veth_);
    up(*next);
    EXPECT_NE(host("nft list chain inet panal_uplink forward").find("iifname \"eth0\" counter"),
              std::string::npos)
        << lost;
    ASSERT_TRUE(next->down());
    EXPECT_EQ(host("cat /proc/sys/net/ipv4/conf/eth0/forwarding"), "0\n") << lost;
  }
}

TEST_F(UplinkTest, AProcessOfAnotherConfigurationTakesAwayWhatThereWas) {
  const auto before = host_state();
  {
    const auto first = open(veth_);
    up(*first);
  }
  const auto none = open({});
  EXPECT_NE(drifts(*none), "");
  up(*none);
  EXPECT_EQ(host_state(), before);
  EXPECT_EQ(drifts(*none), "");
}

TEST_F(UplinkTest, EveryKindOfDriftIsSeenAndMended) {
  const auto uplink = open(veth_);
  up(*uplink);
  struct Case {
    bool on_host;
    const char* command;
    const char* seen;
  };
  const std::vector<Case> cases = {
      {true, "nft flush ruleset", "table inet panal_uplink of the host is missing"},
      {true, "nft flush chain inet panal_uplink input", "panal_uplink of the host is another"},
      {true, "nft insert rule inet panal_uplink forward accept", "of the host is another"},
      {true, "ip link set panal-uplink down", "link panal-uplink of the host is down"},
      {true, "ip link del panal-uplink", "link panal-uplink of the host is missing"},
      {true, "echo 0 > /proc/sys/net/ipv4/conf/eth0/forwarding", "forwarding of eth0"},
      {false, "ip link set uplink0 down", "link uplink0 is down"},
      {false, "ip link set uplink0 alias mine", "link uplink0 is another"},
      {false, "ip route del default", "route to 0.0.0.0/0 is missing"},
  };
  UdpEar ear(lan_, AF_INET, kPort);
  for (const auto& one : cases) {
    ASSERT_EQ(shell_inside(one.on_host ? host_ : panal_, one.command), 0) << one.command;
    EXPECT_NE(drifts(*uplink).find(one.seen), std::string::npos)
        << one.command << ": " << drifts(*uplink);
    up(*uplink);
    EXPECT_EQ(drifts(*uplink), "") << one.command;
    ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
    EXPECT_EQ(hear(ear, 1), 1) << one.command;
  }
}

TEST_F(UplinkTest, WhatCannotBeMadeIsTakenDown) {
  const auto before = host_state();
  // A link of that name that is not ours.
  ASSERT_EQ(shell_inside(host_, "ip link add panal-uplink type bridge"), 0);
  const auto uplink = open(veth_);
  const auto done = uplink->up();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, EEXIST) << done.error().message();
  EXPECT_NE(done.error().message().find("no veth"), std::string::npos) << done.error().message();
  ASSERT_EQ(shell_inside(host_, "ip link del panal-uplink"), 0);
  EXPECT_EQ(host_state(), before);
}

TEST_F(UplinkTest, CutOffMeansNothingGoesOut) {
  const auto uplink = open(veth_);
  up(*uplink);
  ASSERT_TRUE(uplink->cut_off());
  UdpEar ear(lan_, AF_INET, kPort);
  (void)testing::say(desktop(), "192.168.1.1", kPort);
  EXPECT_EQ(ear.heard(), 0);
  up(*uplink);
  ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
  EXPECT_EQ(hear(ear, 1), 1);
}

TEST_F(UplinkTest, CutOffLeavesNoRouterWhereTheTableIsLost) {
  const auto uplink = open(veth_);
  up(*uplink);
  ASSERT_EQ(shell_inside(lan_, "ip route add 10.9.0.0/24 via 192.168.1.2"), 0);
  ASSERT_EQ(shell_inside(host_, "nft flush ruleset"), 0);
  ASSERT_TRUE(uplink->cut_off());
  EXPECT_EQ(host("cat /proc/sys/net/ipv4/conf/eth0/forwarding"), "0\n");
  UdpEar ear(other_, AF_INET, kPort);
  (void)testing::say(lan_, "10.9.0.1", kPort);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(ear.heard(), 0) << "the host has become a router between its networks";
  EXPECT_NE(drifts(*uplink).find("forwarding of eth0 of the host is off"), std::string::npos)
      << drifts(*uplink);
  up(*uplink);
  EXPECT_EQ(drifts(*uplink), "");
  // Who forwarded before goes on.
  ASSERT_TRUE(uplink->down());
  ASSERT_EQ(shell_inside(host_, "echo 1 > /proc/sys/net/ipv4/ip_forward"), 0);
  const auto next = open(veth_);
  up(*next);
  ASSERT_TRUE(next->cut_off());
  EXPECT_EQ(host("cat /proc/sys/net/ipv4/conf/eth0/forwarding"), "1\n");
}

TEST_F(UplinkTest, CutOffLeavesNoRouterThatAnEarlierProcessMade) {
  {
    const auto first = open(veth_);
    up(*first);
  }
  // The table is lost between two processes, and the second may not make it anew.
  ASSERT_EQ(shell_inside(host_, "nft flush ruleset && ip route add 10.77.5.0/24 dev eth1"), 0);
  const auto next = open(veth_);
  ASSERT_FALSE(next->up());
  ASSERT_TRUE(next->cut_off());
  EXPECT_EQ(host("cat /proc/sys/net/ipv4/conf/eth0/forwarding"), "0\n");
  ASSERT_EQ(shell_inside(host_, "ip route del 10.77.5.0/24 dev eth1"), 0);
  up(*next);
  EXPECT_EQ(drifts(*next), "");
  ASSERT_TRUE(next->down());
  EXPECT_EQ(host("cat /proc/sys/net/ipv4/conf/eth0/forwarding"), "0\n");
}

TEST_F(UplinkTest, WhatTheHostNeedsOrHasIsRefusedWithASentence) {
  const auto refused = [&](const UplinkSettings& settings) {
    const auto before = host_state();
    const auto done = open(settings)->up();
    EXPECT_FALSE(done);
    EXPECT_EQ(host_state(), before);
    return done ? std::string() : done.error().message();
  };
  EXPECT_NE(refused({.kind = "veth", .device = "eth9"}).find("the host has no link eth9"),
            std::string::npos);
  UplinkSettings nic{.kind = "nic", .device = "eth0"};
  nic.address4 = "192.168.1.9", nic.gateway4 = "192.168.1.1";
  EXPECT_NE(refused(nic).find("own way out"), std::string::npos);
  ASSERT_EQ(shell_inside(host_, "ip route add 10.77.3.0/24 dev eth1"), 0);
  EXPECT_NE(refused(veth_).find("among desktops' addresses (10.77.3.0/24 by eth1)"),
            std::string::npos);
}

// Masked by what the firewall does with Ruleset::masquerade.
void masquerade(const UniqueFd& panal) {
  ASSERT_EQ(shell_inside(panal,
                         "nft 'table ip nat { chain post { type nat hook postrouting priority "
                         "srcnat; oifname \"uplink0\" masquerade; }; }'"),
            0);
}

TEST_F(UplinkTest, AMacvlanIsInTheLanPastTheHost) {
  const auto before = host_state();
  UplinkSettings settings{.kind = "macvlan", .device = "eth0"};
  settings.address4 = "192.168.1.9", settings.gateway4 = "192.168.1.1";
  settings.address6 = "2001:db8:1::9", settings.gateway6 = "2001:db8:1::1";
  const auto uplink = open(settings);
  up(*uplink);
  masquerade(panal_);
  EXPECT_EQ(host_state(), before) << "nothing of the host's is changed";
  EXPECT_EQ(drifts(*uplink), "");
  UdpEar ear(lan_, AF_INET, kPort), ear6(lan_, AF_INET6, kPort);
  ASSERT_TRUE(testing::say(desktop(), "8.8.8.8", kPort));
  EXPECT_EQ(hear(ear, 1), 1);
  const auto mac = output_inside(panal_, "cat /proc/net/arp | grep -c 192.168.1.1");
  EXPECT_EQ(mac, "1\n");
  // Not even the LAN is asked for addresses: all goes to the router.
  for (int i = 10; i < 60; ++i) {
    (void)testing::say(desktop(), "192.168.1." + std::to_string(i), kPort);
  }
  EXPECT_EQ(output_inside(panal_, "ip neigh show dev uplink0 | grep -vc '^192.168.1.1 '"), "0\n");
  const auto link = output_inside(panal_, "ip link show uplink0 | grep -o 'ether [^ ]*'");
  up(*uplink);
  EXPECT_EQ(output_inside(panal_, "ip link show uplink0 | grep -o 'ether [^ ]*'"), link);
  ASSERT_TRUE(uplink->down());
  EXPECT_EQ(host_state(), before);
  EXPECT_NE(shell_inside(panal_, "ip link show uplink0 2>/dev/null"), 0);
}

TEST_F(UplinkTest, WhatIsDirectIsReachedPastTheRouter) {
  UplinkSettings settings{.kind = "macvlan", .device = "eth0"};
  settings.address4 = "192.168.1.9", settings.gateway4 = "192.168.1.254";
  settings.direct = {"192.168.1.1"};
  const auto uplink = open(settings);
  up(*uplink);
  masquerade(panal_);
  EXPECT_EQ(drifts(*uplink), "");
  UdpEar ear(lan_, AF_INET, kPort);
  ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
  EXPECT_EQ(hear(ear, 1), 1) << "there is no such router";
}

TEST_F(UplinkTest, ACardIsMovedInAndComesBack) {
  UplinkSettings settings{.kind = "nic", .device = "eth1"};
  settings.address4 = "10.9.0.9", settings.gateway4 = "10.9.0.1";
  const auto links = [&] { return host("ip -br link show | sed 's/@.*//; s/ .*//' | sort"); };
  const auto before = links();
  {
    const auto uplink = open(settings);
    up(*uplink);
    EXPECT_EQ(drifts(*uplink), "");
    EXPECT_EQ(links().find("eth1"), std::string::npos);
  }
  masquerade(panal_);
  UdpEar ear(other_, AF_INET, kPort);
  ASSERT_TRUE(testing::say(desktop(), "10.9.0.1", kPort));
  EXPECT_EQ(hear(ear, 1), 1);
  // A new process finds it by its alias, and gives it back under its name.
  const auto next = open(settings);
  up(*next);
  EXPECT_EQ(drifts(*next), "");
  ASSERT_TRUE(next->down());
  EXPECT_EQ(links(), before);
}

TEST_F(UplinkTest, OneKindFollowsAnother) {
  const auto before = host_state();
  UplinkSettings macvlan{.kind = "macvlan", .device = "eth0"};
  macvlan.address4 = "192.168.1.9", macvlan.gateway4 = "192.168.1.1";
  UdpEar ear(lan_, AF_INET, kPort);
  for (const auto& settings : {veth_, macvlan, veth_, macvlan}) {
    const auto uplink = open(settings);
    up(*uplink);
    EXPECT_EQ(drifts(*uplink), "") << settings.kind;
    if (settings.kind == "macvlan") {
      EXPECT_EQ(host_state(), before);
      masquerade(panal_);
    }
    ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
    EXPECT_EQ(hear(ear, 1), 1) << settings.kind;
    (void)shell_inside(panal_, "nft flush ruleset");
  }
}

TEST_F(UplinkTest, TheAddressOfADesktopThatIsNotThereLeadsNowhere) {
  const auto uplink = open(veth_);
  up(*uplink);
  for (const char* address : {"10.77.0.9", "10.77.255.255"}) {
    (void)testing::say(desktop(), address, kPort);
  }
  UdpEar ear(lan_, AF_INET, kPort);
  ASSERT_TRUE(testing::say(desktop(), "192.168.1.1", kPort));
  EXPECT_EQ(hear(ear, 1), 1);
  EXPECT_EQ(output_inside(panal_, "ip route get 10.77.0.9 2>&1 | head -1 | grep -c uplink0"),
            "0\n");
  EXPECT_EQ(output_inside(host_,
                          "nft list chain inet panal_uplink from_desktops | "
                          "grep -c 'oifname != \"eth0\" counter packets 0 '"),
            "1\n")
      << "none of it came to the host";
}

// --- tables that are everybody's
// ------------------------------------------------------------------

TEST_F(UplinkTest, OneDesktopCannotFillTheNeighbourTable) {
  const auto uplink = open(veth_);
  up(*uplink);
  ASSERT_EQ(shell_inside(host_, "ip addr add 172.16.0.1/16 dev eth0"), 0);
  const auto neighbours = [&] {
    return std::stoi(host("ip neigh show dev eth0 | grep -c '^172.16' || true"));
  };
  for (int i = 0; i < 1000; ++i) {
    (void)testing::say(desktop(),
                       "172.16." + std::to_string(1 + i / 250) + "." + std::to_string(1 + i % 250),
                       kPort);
  }
  EXPECT_GT(neighbours(), 0);
  // 32 at once and two a second.
  EXPECT_LT(neighbours(), 200);
  // It still reaches what it did, and others what they want.
  add_desktop(2);
  UdpEar ear(lan_, AF_INET, kPort);
  // The kernel starts a new link's queues some time after it came up.
  int heard = 0;
  for (int i = 0; i < 5 && heard == 0; ++i) {
    ASSERT_TRUE(testing::say(desktops_[1], "192.168.1.1", kPort));
    heard = hear(ear, 1);
  }
  EXPECT_GT(heard, 0);
}

TEST_F(UplinkTest, OneDesktopCannotFillTheConnectionTable) {
  const auto uplink = open(veth_);
  up(*uplink);
  const auto lines = uplink->describe();
  ASSERT_TRUE(lines);
  // A datagram a port: each a connection of its own in the host's table.
  ASSERT_EQ(shell_inside(desktop(),
                         "python3 - <<'END'\n"
                         "import socket\n"
                         "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                         "for port in range(10000, 20000):\n"
                         "    s.sendto(b'x', ('8.8.8.8', port))\nEND"),
            0);
  const int most =
      std::stoi(host("nft list table inet panal_uplink | "
                     "grep -o 'ip saddr ct count over [0-9]*' | head -1 | grep -o '[0-9]*$'"));
  const int count = std::stoi(host("cat /proc/sys/net/netfilter/nf_conntrack_count"));
  EXPECT_GT(count, 0);
  EXPECT_LE(count, most + 50) << "of 10,000 that were tried";
  add_desktop(2);
  UdpEar ear(lan_, AF_INET, kPort);
  ASSERT_TRUE(testing::say(desktops_[1], "192.168.1.1", kPort));
  EXPECT_EQ(hear(ear, 1), 1) << "others are not hindered";
}

}  // namespace
}  // namespace panal::netconfine
