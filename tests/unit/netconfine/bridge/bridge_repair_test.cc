#include "netconfine/bridge/bridge_repair.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_link.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <vector>

#include "netconfine/bridge/bridge_messages.h"

namespace panal::netconfine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint32_t kClassroom = 0xbac24a40;

/// Desktop 1 on the room's hub, 2 on the bridge beside it, as meant.
class BridgeRepairTest : public ::testing::Test {
 protected:
  void SetUp() override {
    add("pnbbac24a40-0", "bridge");
    add("pnbbac24a40-1", "bridge");
    FoundLink& own = add("pntbac24a40-1", "veth", "pnbbac24a40-1");
    own.peer = own.index + 1;
    add("pnubac24a40-1", "veth", "pnbbac24a40-0").peer = own_index_;
    for (const DesktopId id : {1, 2}) {
      const Addresses addresses = *AddressPool::parse("10.77.0.0/16", "fd77:70::/64")->of(id);
      meant_.push_back({addresses, kClassroom});
      add("png" + std::to_string(id), "veth", id == 1 ? "pnbbac24a40-0" : "pnbbac24a40-1");
      found_.macs.push_back({index_of("png" + std::to_string(id)), addresses.mac, true});
    }
  }
  FoundLink& add(const std::string& name, const char* kind, const std::string& master = "") {
    BridgeLink one;
    one.link.index = static_cast<int>(found_.links.size()) + 1;
    one.link.name = name;
    one.link.kind = kind;
    one.link.up = true;
    one.link.master = master.empty() ? 0 : index_of(master);
    if (name == "pntbac24a40-1") own_index_ = one.link.index;
    found_.links.push_back(one);
    return found_.links.back().link;
  }
  [[nodiscard]] int index_of(const std::string& name) { return link(name).index; }
  FoundLink& link(const std::string& name) {
    for (BridgeLink& one : found_.links)
      if (one.link.name == name) return one.link;
    throw std::invalid_argument(name);
  }
  void remove(const std::string& name) {
    std::erase_if(found_.links, [&](const BridgeLink& one) { return one.link.name == name; });
  }
  [[nodiscard]] BridgeRepair repair() const { return bridge_repair(meant_, found_); }
  /// What is said, without what every member's port gets.
  [[nodiscard]] std::vector<std::string> said() const {
    std::vector<std::string> all;
    for (const Step& step : repair().steps) {
      const std::string& what = step.message.what;
      if (!what.starts_with("set up the bridge port") && !what.starts_with("enter "))
        all.push_back(what);
    }
    return all;
  }

  BridgeState found_;
  std::vector<GroupMember> meant_;
  int own_index_ = 0;
};

TEST_F(BridgeRepairTest, WhatIsAsMeantIsOnlySetUpAnew) {
  EXPECT_THAT(said(), IsEmpty());
  EXPECT_EQ(repair().steps.size(), 4U) << "two for each desktop";
  EXPECT_THAT(repair().leave, IsEmpty());
  EXPECT_THAT(repair().bridges, ElementsAre(Shard{kClassroom, 0}, Shard{kClassroom, 1}));
}

TEST_F(BridgeRepairTest, WhoIsNotMeantOrNotRightLeaves) {
  add("png7", "veth", "pnbbac24a40-0");
  EXPECT_THAT(repair().leave, ElementsAre(7));
  link("png1").master = 0;
  link("png2").up = false;
  EXPECT_THAT(repair().leave, ElementsAre(1, 2, 7));
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(BridgeRepairTest, StrangersAreTakenOff) {
  add("other", "veth", "pnbbac24a40-0");
  add("pnl9", "veth", "pnbbac24a40-1");
  add("eth7", "", "");
  EXPECT_THAT(said(), ElementsAre("take link 7 off its bridge", "take link 8 off its bridge"));
}

TEST_F(BridgeRepairTest, MacsThatAreNotTheDesktopsGo) {
  found_.macs.push_back({index_of("png1"), Mac{2, 2, 2, 2, 2, 2}, true});
  EXPECT_THAT(said(), ElementsAre("take 02:02:02:02:02:02 off the bridge port 5"));
}

TEST_F(BridgeRepairTest, WhoEndsMeanwhileKeepsNobodyFromBeingMended) {
  found_.macs.push_back({index_of("png1"), Mac{2, 2, 2, 2, 2, 2}, true});
  add("pnl9", "veth", "pnbbac24a40-1");
  remove("pnubac24a40-1");
  for (const Step& step : repair().steps)
    EXPECT_THAT(step.fine, ::testing::Contains(ENODEV)) << step.message.what;
}

TEST_F(BridgeRepairTest, WhatNoBridgeIsAskedForIsSetBackWhereSomebodyHasSetIt) {
  for (BridgeLink& one : found_.links)
    if (one.link.kind == "bridge") one.bridge[IFLA_BR_VLAN_FILTERING] = 0;
  EXPECT_THAT(said(), IsEmpty());
  for (BridgeLink& one : found_.links)
    if (one.link.name == "pnbbac24a40-1") one.bridge[IFLA_BR_VLAN_FILTERING] = 1;
  EXPECT_THAT(said(), ElementsAre("set VLAN filtering of pnbbac24a40-1 to 0"));
}

TEST_F(BridgeRepairTest, ABridgeThatIsNoneAndTrunksToNowhereGo) {
  link("pnbbac24a40-1").kind = "veth";
  EXPECT_THAT(said(), ElementsAre("delete link pnbbac24a40-1", "delete link pntbac24a40-1",
                                  "delete link pnubac24a40-1"));
  EXPECT_THAT(repair().bridges, ElementsAre(Shard{kClassroom, 0}));
}

TEST_F(BridgeRepairTest, AHubThatIsGoneIsMadeAgain) {
  remove("pnbbac24a40-0");
  EXPECT_THAT(repair().bridges, ElementsAre(Shard{kClassroom, 0}, Shard{kClassroom, 1}));
  EXPECT_THAT(repair().leave, ElementsAre(1)) << "whose bridge it was";
}

TEST_F(BridgeRepairTest, HalfATrunkIsNone) {
  remove("pnubac24a40-1");
  EXPECT_THAT(said(), ElementsAre("delete link pntbac24a40-1"));
  add("pnubac24a40-1", "veth", "pnbbac24a40-0").peer = 99;
  EXPECT_THAT(said(), ElementsAre("delete link pntbac24a40-1", "delete link pnubac24a40-1"));
}

}  // namespace
}  // namespace panal::netconfine
