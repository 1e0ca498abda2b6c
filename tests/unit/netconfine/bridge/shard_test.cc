#include "netconfine/bridge/shard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace panal::netconfine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr std::uint32_t kRoom = 0xbac24a40, kHall = 0x1f;

TEST(ShardNames, SayWhatTheyStandForAndFitTheKernel) {
  const Shard hub{kRoom, 0}, last{kHall, kMostShards - 1};
  EXPECT_EQ(bridge_name(hub), "pnbbac24a40-0");
  EXPECT_EQ(bridge_name(last), "pnb0000001f-23");
  EXPECT_EQ(trunk_name(last), "pnt0000001f-23");
  EXPECT_EQ(hub_trunk_name(last), "pnu0000001f-23");
  EXPECT_EQ(member_name(16'777'214), "png16777214");
  for (const Shard& shard : {hub, last}) {
    EXPECT_EQ(shard_of_bridge(bridge_name(shard)), shard);
    EXPECT_EQ(shard_of_trunk(trunk_name(shard)), shard);
    EXPECT_EQ(shard_of_hub_trunk(hub_trunk_name(shard)), shard);
    EXPECT_LE(bridge_name(shard).size(), 15U);
  }
  EXPECT_EQ(id_of_member("png16777214"), 16'777'214);
}

TEST(ShardNames, OthersNamesAreNone) {
  for (const char* name :
       {"", "pnb", "pnb-0", "pnbbac24a40", "pnbbac24a40-", "pnbbac24a40-24", "pnbbac24a40-00",
        "pnbbac24a40-+1", "pnbbac24a40-1x", "pnbBAC24A40-0", "pnbbac24a4-0", "pnb00000000-0",
        "pnbbac24a400-0", "pnb+ac24a40-0", "pntbac24a40-0", "br0", "pnl7"})
    EXPECT_FALSE(shard_of_bridge(name)) << name;
  EXPECT_FALSE(shard_of_trunk("pnubac24a40-1"));
  EXPECT_FALSE(shard_of_hub_trunk("pntbac24a40-1"));
  for (const char* name :
       {"", "png", "png0", "png-1", "png07", "png7x", "pnl7", "png99999999999999999999"})
    EXPECT_EQ(id_of_member(name), 0) << name;
}

/// Links of a namespace; indices are 1, 2, ... in order.
class Links {
 public:
  int add(const std::string& name, int master = 0) {
    FoundLink link;
    link.index = static_cast<int>(all_.size()) + 1;
    link.name = name;
    link.master = master;
    link.up = true;
    all_.push_back(link);
    return link.index;
  }
  [[nodiscard]] const std::vector<FoundLink>& all() const { return all_; }

 private:
  std::vector<FoundLink> all_;
};

TEST(Shards, AreFilledFromTheLowestNumber) {
  Occupancy members;
  const auto number = [&](unsigned most) {
    const auto shard = with_room(members, kRoom, most);
    return shard ? static_cast<int>(shard->number) : -shard.error().code;
  };
  EXPECT_EQ(number(2), 0) << "which is not there yet";
  members[{kRoom, 0}] = 1;
  members[{kHall, 0}] = 0;
  EXPECT_EQ(number(2), 0);
  members[{kRoom, 0}] = 2;
  EXPECT_EQ(number(2), 1);
  members[{kRoom, 2}] = 0;
  EXPECT_EQ(number(2), 1) << "one in between that is gone is made again";
  members[{kRoom, 1}] = 2;
  EXPECT_EQ(number(2), 2);
  for (unsigned shard = 0; shard < kMostShards; ++shard) members[{kRoom, shard}] = 2;
  EXPECT_EQ(number(2), -ENOSPC);
  EXPECT_EQ(number(3), 0);
  static_assert(kMostMembers + kMostShards - 1 <= 1023, "ports of a Linux bridge");
}

TEST(Shards, AreCountedByTheirPorts) {
  Links links;
  const int hub = links.add("pnbbac24a40-0"), second = links.add("pnbbac24a40-1");
  const int strange = links.add("br0");
  links.add("png1", hub);
  links.add("png2", hub);
  links.add("png3", second);
  links.add("png4", strange);
  links.add("png5");
  links.add("pntbac24a40-1", second);
  links.add("pnubac24a40-1", hub);
  EXPECT_THAT(occupancy(links.all()),
              ElementsAre(Pair(Shard{kRoom, 0}, 2U), Pair(Shard{kRoom, 1}, 1U)));
  EXPECT_THAT(occupancy({}), IsEmpty());
}

TEST(Shards, WithoutDesktopsAreUnused) {
  Links links;
  const int hub = links.add("pnbbac24a40-0"), first = links.add("pnbbac24a40-1");
  const int second = links.add("pnbbac24a40-2");
  links.add("pntbac24a40-1", first);
  links.add("pnubac24a40-1", hub);
  links.add("pntbac24a40-2", second);
  links.add("pnubac24a40-2", hub);
  links.add("png9", second);
  links.add("pnb0000001f-0");
  links.add("pnt0000001f-1");
  links.add("pnu0000001f-1");
  links.add("br0");
  links.add("png7");
  EXPECT_THAT(unused_links(links.all()),
              ElementsAre("pntbac24a40-1", "pnt0000001f-1", "pnbbac24a40-1", "pnb0000001f-0"))
      << "the hub stays for the bridge that hangs on it";
}

}  // namespace
}  // namespace panal::netconfine
