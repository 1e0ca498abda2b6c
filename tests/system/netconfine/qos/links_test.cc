// Links come and go in batches; taps of others are taken over.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <net/if.h>

#include "netconfine/link/find_link.h"
#include "netconfine/link/tap.h"
#include "netconfine/netlink/enter.h"
#include "tests/system/netconfine/qos/street.h"

namespace panal::netconfine {
namespace {

using testing::new_network_namespace;
using testing::output_inside;
using testing::shell_inside;
using testing::Street;

std::string links(const Street& street) {
  return output_inside(street.panal(),
                       "ip -br link show | grep -o '^pnl[0-9]*' | sort | tr '\\n' ' '");
}

TEST(Batch, MakesManyAndRemovesThemAtOnce) {
  Street street;
  std::vector<UniqueFd> desktops;
  std::vector<NewLink> wanted;
  std::vector<Addresses> addresses;
  std::vector<std::string> names;
  for (DesktopId id = 1; id <= 40; ++id) {
    desktops.push_back(new_network_namespace());
    addresses.push_back(street.addresses(id));
    wanted.push_back({addresses.back(), desktops.back().get()});
    names.push_back(addresses.back().link);
  }
  ASSERT_TRUE(street.veths().add(wanted));
  const auto up = street.veths().bring_up(addresses);
  ASSERT_TRUE(up) << up.error().message();
  EXPECT_EQ(street.veths().list()->size(), 40U);
  EXPECT_EQ(output_inside(street.panal(), "ip route | grep -c 'dev pnl'"), "40\n");
  EXPECT_EQ(output_inside(street.panal(), "ip neigh | grep -c PERMANENT"), "80\n");
  names.emplace_back("pnl99");  // never was
  const auto removed = street.veths().remove(names);
  ASSERT_TRUE(removed) << removed.error().message();
  EXPECT_EQ(links(street), "");
  for (const auto& desktop : desktops) {
    EXPECT_NE(shell_inside(desktop, "ip link show eth0 >/dev/null 2>&1"), 0);
  }
}

TEST(Batch, OneThatIsRefusedLeavesNoneOfItsBatch) {
  Street street;
  street.add(2);
  const auto desktop = new_network_namespace(), other = new_network_namespace();
  const std::vector<NewLink> wanted = {{street.addresses(1), desktop.get()},
                                       {street.addresses(2), other.get()},
                                       {street.addresses(3), other.get()}};
  const auto refused = street.veths().add(wanted);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EEXIST) << refused.error().message();
  EXPECT_NE(refused.error().message().find("pnl2"), std::string::npos);
  EXPECT_EQ(links(street), "pnl2 ") << "the one that was there stays";
}

TEST(Batch, OthersLinksStay) {
  Street street;
  street.add(1);
  ASSERT_EQ(shell_inside(street.panal(), "ip link add other type veth peer name else"), 0);
  const std::vector<std::string> gone = {"pnl1"};
  ASSERT_TRUE(street.veths().remove(gone));
  ASSERT_TRUE(street.veths().remove(std::span<const std::string>{}));
  EXPECT_EQ(shell_inside(street.panal(), "ip link show other >/dev/null"), 0);
  const std::vector<std::string> missing = {"pnl7"};
  ASSERT_TRUE(street.veths().remove(missing)) << "no group, nothing to delete";
  EXPECT_EQ(shell_inside(street.panal(), "ip link show other >/dev/null"), 0);
}

TEST(Taps, AreMadeAsHostEndsAre) {
  Street street;
  const auto addresses = street.addresses(5);
  UniqueFd tap;
  const auto done = run_inside(street.panal(), [&]() -> Result<void> {
    PANAL_ASSIGN(tap, add_tap(addresses));
    const auto again = add_tap(addresses);
    EXPECT_FALSE(again);
    EXPECT_EQ(again.error().code, EEXIST);
    return {};
  });
  ASSERT_TRUE(done) << done.error().message();
  const auto shown = output_inside(street.panal(), "ip link show pnl5");
  EXPECT_NE(shown.find("NOARP"), std::string::npos) << shown;
  EXPECT_NE(shown.find("state DOWN"), std::string::npos) << shown;
  EXPECT_NE(shown.find(to_string(addresses.gateway_mac)), std::string::npos) << shown;
  EXPECT_EQ(street.veths().list()->size(), 1U);
  tap.reset();
  EXPECT_EQ(links(street), "") << "it goes with its last descriptor";
}

TEST(Taps, OnesThatAreKeptStayUntilTheyAreRemoved) {
  Street street;
  const uid_t owner = 12345;
  ASSERT_TRUE(run_inside(street.panal(), [&]() -> Result<void> {
    PANAL_ASSIGN(const auto tap, add_tap(street.addresses(5), &owner));
    return {};
  }));
  EXPECT_EQ(links(street), "pnl5 ");
  const std::vector<std::string> names = {"pnl5"};
  ASSERT_TRUE(street.veths().remove(names));
  EXPECT_EQ(links(street), "");
}

TEST(Taps, OneOfAnotherProgramIsTakenOverWhileItIsOpen) {
  Street street;
  const auto host = new_network_namespace();
  const auto addresses = street.addresses(6);
  UniqueFd tap;
  std::unique_ptr<NetlinkSocket> there, here;
  ASSERT_TRUE(run_inside(host, [&]() -> Result<void> {
    PANAL_ASSIGN(tap, add_tap(addresses));
    PANAL_ASSIGN(auto socket, NetlinkSocket::open(NETLINK_ROUTE));
    there = std::make_unique<NetlinkSocket>(std::move(socket));
    return {};
  }));
  ASSERT_EQ(shell_inside(host, "ip link set pnl6 address 02:aa:00:00:00:01 arp on up"), 0);
  ASSERT_TRUE(run_inside(street.panal(), [&]() -> Result<void> {
    PANAL_ASSIGN(auto socket, NetlinkSocket::open(NETLINK_ROUTE));
    here = std::make_unique<NetlinkSocket>(std::move(socket));
    return {};
  }));
  const auto taken = adopt_tap(*there, *here, street.panal(), addresses);
  ASSERT_TRUE(taken) << taken.error().message();
  const auto link = find_link(*here, "pnl6");
  ASSERT_TRUE(link);
  EXPECT_FALSE(link->up);
  EXPECT_TRUE(std::equal(link->mac.begin(), link->mac.end(), addresses.gateway_mac.begin()));
  EXPECT_FALSE(find_link(*there, "pnl6"));
  // It still is the program's: what is routed to it comes out there.
  ASSERT_TRUE(street.veths().bring_up(addresses));
  street.add_and_bring_up(1);
  ASSERT_TRUE(testing::say(street.inside(1), to_string(addresses.ipv4), 7777));
  EXPECT_EQ(testing::frames_of(tap, 14 + 20 + 8 + 5, 1), 1);
}

TEST(Taps, AVethIsNoTap) {
  Street street;
  const auto host = new_network_namespace();
  std::unique_ptr<NetlinkSocket> there;
  ASSERT_EQ(shell_inside(host, "ip link add pnl6 type veth peer name other"), 0);
  ASSERT_TRUE(run_inside(host, [&]() -> Result<void> {
    PANAL_ASSIGN(auto socket, NetlinkSocket::open(NETLINK_ROUTE));
    there = std::make_unique<NetlinkSocket>(std::move(socket));
    return {};
  }));
  const auto refused = adopt_tap(*there, *there, street.panal(), street.addresses(6));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EINVAL);
}

}  // namespace
}  // namespace panal::netconfine
