#include "netconfine/bridge/bridge_audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_link.h>

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "netconfine/bridge/bridge_messages.h"
#include "netconfine/bridge/shard.h"

namespace panal::netconfine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr std::uint32_t kClass = 0xbac24a40, kChoir = 0x1f;
constexpr const char* kHub = "pnbbac24a40-0";
constexpr const char* kSecond = "pnbbac24a40-1";

Addresses addresses_of(DesktopId id) {
  return *AddressPool::parse("10.77.0.0/16", "fd77:70::/64")->of(id);
}

std::map<std::uint16_t, std::uint32_t> as_set_up(std::span<const BridgeSetting> settings) {
  std::map<std::uint16_t, std::uint32_t> numbers;
  for (const BridgeSetting& one : settings) numbers[one.attribute] = one.value;
  return numbers;
}

/// Two desktops of a room, on two bridges, and one in the hall; everything as it is to be.
class BridgeAudit : public ::testing::Test {
 protected:
  void SetUp() override {
    bridge(kHub);
    bridge(kSecond);
    bridge("pnb0000001f-0");
    port("pntbac24a40-1", kSecond, PortKind::kTrunk);
    port("pnubac24a40-1", kHub, PortKind::kTrunk);
    member(1, kHub, kClass);
    member(2, kSecond, kClass);
    member(3, "pnb0000001f-0", kChoir);
    plain("pnl1");
    plain("lo");
  }

  BridgeLink& plain(const std::string& name, int master = 0) {
    BridgeLink one;
    one.link.index = static_cast<int>(state_.links.size()) + 1;
    one.link.name = name;
    one.link.kind = "veth";
    one.link.up = true;
    one.link.master = master;
    state_.links.push_back(one);
    return state_.links.back();
  }
  void bridge(const std::string& name) {
    BridgeLink& one = plain(name);
    one.link.kind = "bridge";
    one.bridge = as_set_up(bridge_settings());
  }
  int port(const std::string& name, const std::string& on, PortKind kind) {
    const int master = link(on).link.index;
    BridgeLink& one = plain(name, master);
    one.port = as_set_up(port_settings(kind));
    return one.link.index;
  }
  void member(DesktopId id, const std::string& on, std::uint32_t group) {
    const Addresses addresses = addresses_of(id);
    state_.macs.push_back({port(member_name(id), on, PortKind::kMember), addresses.mac, true});
    meant_.push_back({addresses, group});
  }
  BridgeLink& link(const std::string& name) {
    for (BridgeLink& one : state_.links)
      if (one.link.name == name) return one;
    throw std::invalid_argument(name);
  }
  void remove(const std::string& name) {
    std::erase_if(state_.links, [&](const BridgeLink& one) { return one.link.name == name; });
  }
  /// "png1: is down".
  [[nodiscard]] std::vector<std::string> said() const {
    std::vector<std::string> all;
    for (const Drift& drift : bridge_differences(meant_, state_)) {
      EXPECT_TRUE(drift.where.starts_with("link ")) << drift.where;
      all.push_back(drift.where.substr(5) + ": " + drift.what);
    }
    return all;
  }

  BridgeState state_;
  std::vector<GroupMember> meant_;
};

TEST_F(BridgeAudit, WhatIsAsMeantIsNoDrift) {
  EXPECT_THAT(said(), IsEmpty());
  EXPECT_THAT(bridge_differences({}, {}), IsEmpty());
}

TEST_F(BridgeAudit, ADesktopMustBeOnItsGroupsBridge) {
  link("png1").link.master = 0;
  EXPECT_THAT(said(), ElementsAre("png1: is a port of no bridge, not of its group's bridge"));
  link("png1").link.master = link("pnb0000001f-0").link.index;
  EXPECT_THAT(said(), ElementsAre("png1: is a port of pnb0000001f-0, not of its group's bridge"));
  link("png1").link.master = 999;
  EXPECT_THAT(said(),
              ElementsAre("png1: is a port of a bridge that is not there, not of its group's "
                          "bridge"));
  link("png1").link.master = link(kSecond).link.index;
  EXPECT_THAT(said(), IsEmpty()) << "on whichever of them";
  remove("png1");
  EXPECT_THAT(said(), ElementsAre("png1: is missing"));
}

TEST_F(BridgeAudit, ADesktopThatNobodyHasPutThereIsTold) {
  meant_.pop_back();
  EXPECT_THAT(said(), ElementsAre("png3: links a desktop to a group that it is not in"));
  link("png3").link.master = 0;
  EXPECT_THAT(said(), ElementsAre("png3: links a desktop to a group that it is not in"))
      << "half made, too";
}

TEST_F(BridgeAudit, APortLetsItsOwnMacThroughAndNoOther) {
  link("png1").link.up = false;
  link("png1").port[IFLA_BRPORT_LOCKED] = 0;
  link("png1").port[IFLA_BRPORT_LEARNING] = 1;
  link("png1").port.erase(IFLA_BRPORT_NEIGH_SUPPRESS);  // an older kernel's
  EXPECT_THAT(said(), UnorderedElementsAre("png1: is down", "png1: has locked 0, not 1",
                                           "png1: has learning 1, not 0"));
}

TEST_F(BridgeAudit, APortStandsInForNoOtherAndHearsTheOthers) {
  link("png1").port[IFLA_BRPORT_BACKUP_PORT] = 7;
  link("png2").port[IFLA_BRPORT_ISOLATED] = 1;
  link("png2").port.erase(IFLA_BRPORT_BACKUP_PORT);  // the kernel says nothing where there is none
  link("pnubac24a40-1").port[IFLA_BRPORT_GROUP_FWD_MASK] = 1;
  link("pntbac24a40-1").port[IFLA_BRPORT_PROXYARP_WIFI] = 1;
  EXPECT_THAT(said(),
              UnorderedElementsAre("png1: has backup port 7, not 0", "png2: has isolated 1, not 0",
                                   "pnubac24a40-1: has link protocols passed on 1, not 0",
                                   "pntbac24a40-1: has proxy ARP of wireless stations 1, not 0"));
}

TEST_F(BridgeAudit, AKernelThatLocksNoPortIsTold) {
  link("png1").port.erase(IFLA_BRPORT_LOCKED);
  link("pntbac24a40-1").port.erase(IFLA_BRPORT_LOCKED);  // which need not be
  EXPECT_THAT(said(), ElementsAre("png1: has no setting locked: too old a kernel"));
}

TEST_F(BridgeAudit, MacsBehindAPortAreLookedAt) {
  const int port = link("png1").link.index;
  state_.macs.push_back({port, {2, 0x70, 0, 0, 0, 9}, true});
  state_.macs.push_back({port, {2, 0x70, 0, 0, 0, 8}, false});
  EXPECT_THAT(said(), UnorderedElementsAre("png1: may send as 02:70:00:00:00:09",
                                           "png1: may send as 02:70:00:00:00:08"));
  state_.macs.clear();
  EXPECT_THAT(said(), UnorderedElementsAre("png1: misses the entry of 02:70:00:00:00:01",
                                           "png2: misses the entry of 02:70:00:00:00:02",
                                           "png3: misses the entry of 02:70:00:00:00:03"));
}

TEST_F(BridgeAudit, BridgesAreSetUpAsTheyWereMade) {
  link(kHub).link.up = false;
  link(kHub).bridge[IFLA_BR_STP_STATE] = 1;
  link(kHub).bridge[IFLA_BR_MULTI_BOOLOPT] = 0;
  link(kSecond).bridge[IFLA_BR_MULTI_BOOLOPT] |= 0x80;  // an option that is not ours
  EXPECT_THAT(said(), UnorderedElementsAre(
                          "pnbbac24a40-0: is down", "pnbbac24a40-0: has spanning tree 1, not 0",
                          "pnbbac24a40-0: has no learning from link protocols 0, not 1"));
}

TEST_F(BridgeAudit, VlanFilteringIsSeenWhereTheKernelSaysHowItIs) {
  link(kSecond).bridge.erase(IFLA_BR_VLAN_FILTERING);
  EXPECT_THAT(said(), IsEmpty());
  link(kHub).bridge[IFLA_BR_VLAN_FILTERING] = 1;
  EXPECT_THAT(said(), ElementsAre("pnbbac24a40-0: has VLAN filtering 1, not 0"));
}

TEST_F(BridgeAudit, TrunksMustConnect) {
  link("pnubac24a40-1").link.master = 0;
  link("pntbac24a40-1").link.up = false;
  EXPECT_THAT(said(), UnorderedElementsAre(
                          "pnubac24a40-1: is a port of no bridge, not of " + std::string(kHub),
                          "pntbac24a40-1: is down"));
  remove("pnubac24a40-1");
  remove("pntbac24a40-1");
  EXPECT_THAT(said(),
              UnorderedElementsAre("pntbac24a40-1: is missing", "pnubac24a40-1: is missing"));
}

TEST_F(BridgeAudit, AHubThatIsGoneIsTold) {
  remove(kHub);
  EXPECT_THAT(said(), ::testing::IsSupersetOf(
                          {std::string(kHub) + ": is missing",
                           std::string("png1: is a port of a bridge that is not there, not of its "
                                       "group's bridge")}));
}

TEST_F(BridgeAudit, StrangersOnOurBridgesAreTold) {
  plain("eth9", link(kHub).link.index);
  plain("pnt0000001f-7", link(kHub).link.index);
  EXPECT_THAT(said(),
              UnorderedElementsAre(
                  "eth9: is a port of pnbbac24a40-0 and nobody's who belongs there",
                  "pnt0000001f-7: is a port of pnbbac24a40-0 and nobody's who belongs there"));
}

TEST_F(BridgeAudit, ARoutedLinkIsNoBridgesPort) {
  link("pnl1").link.master = link(kHub).link.index;
  EXPECT_THAT(said(),
              ElementsAre("pnl1: is a port of pnbbac24a40-0; routed links are no bridge's"));
  bridge("br0");
  link("pnl1").link.master = link("br0").link.index;
  EXPECT_THAT(said(), ElementsAre("pnl1: is a port of br0; routed links are no bridge's"));
}

}  // namespace
}  // namespace panal::netconfine
