// Groups on bridges: desktops of one hear each other and nobody else, however many they are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "tests/system/netconfine/bridge/classroom.h"
#include "tests/system/netconfine/frames.h"

namespace panal::netconfine {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kToAll[] = {"255.255.255.255", "10.77.255.255", "ff02::1"};

constexpr Mac kEverybody = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, kNobody = {2, 2, 2, 2, 2, 2};
constexpr std::uint16_t kOurType = 0x88b5;  // for experiments (IEEE 802): nobody else sends it

/// Whether a frame of that type from `mouth` comes to `ear`.
bool comes(Tap& mouth, Tap& ear, const Mac& to, const Mac& from) {
  (void)ear.received();
  mouth.send(ethernet(to, from, kOurType, Bytes(46, 0)));
  ::usleep(50'000);
  const auto frames = ear.received();
  return std::any_of(frames.begin(), frames.end(),
                     [](const std::string& frame) { return frame.substr(24, 4) == "88b5"; });
}

void await_member(const Classroom& world, DesktopId id) {
  await_link(world.panal(), member_name(id));
  await_link(world.inside(id), kGroupInsideName);
}

std::vector<unsigned> shards_of(Classroom& world) {
  std::vector<unsigned> numbers;
  const auto ports = world.bridges().ports();
  EXPECT_TRUE(ports) << ports.error().message();
  if (!ports) return numbers;
  for (const GroupPort& port : *ports) {
    EXPECT_TRUE(port.up && port.bridge) << port.id;
    numbers.push_back(port.bridge ? port.bridge->number : kMostShards);
  }
  return numbers;
}

TEST(Bridges, AGroupHearsItselfAndNobodyElse) {
  Classroom world;
  for (DesktopId id = 1; id <= 3; ++id) {
    world.add_with_routed_link(id);
    world.join(id, id == 3 ? kHall : kRoom);
    await_member(world, id);
  }
  EXPECT_EQ(world.audit(), "");
  Tap stranger(world.inside(3), kGroupInsideName);
  for (const bool v6 : {false, true}) {
    EXPECT_TRUE(world.hears(2, 1, v6)) << v6;
    EXPECT_TRUE(world.hears(1, 2, v6)) << v6;
    EXPECT_FALSE(world.hears(3, 1, v6)) << v6;
    EXPECT_FALSE(world.hears(1, 3, v6)) << v6;
  }
  for (const char* address : kToAll)
    EXPECT_THAT(world.who_hears(1, address, {2, 3}), ElementsAre(2)) << address;
  for (const std::string& frame : stranger.received())
    EXPECT_NE(frame.substr(12, 12), "027000000001") << "a frame of the other group's: " << frame;
}

TEST(Bridges, APortTakesFramesOfItsDesktopOnly) {
  Classroom world;
  for (DesktopId id = 1; id <= 3; ++id) {
    world.add(id);
    world.join(id, kRoom);
    await_member(world, id);
  }
  ASSERT_TRUE(world.hears(2, 1, false));
  const Addresses me = Classroom::addresses(1), mate = Classroom::addresses(2);
  const Addresses third = Classroom::addresses(3);
  Tap mouth(world.inside(1), kGroupInsideName), ear(world.inside(2), kGroupInsideName);
  const auto arrives = [&](const Mac& to, const Mac& from) { return comes(mouth, ear, to, from); };
  EXPECT_TRUE(arrives(mate.mac, me.mac)) << "the test is blind";
  EXPECT_FALSE(arrives(mate.mac, kNobody));
  EXPECT_FALSE(arrives(mate.mac, third.mac)) << "whose MAC is entered for another port";
  EXPECT_FALSE(arrives(mate.mac, mate.mac));
  EXPECT_FALSE(arrives(third.mac, me.mac)) << "what is for one is not heard by another";
  EXPECT_FALSE(arrives(kNobody, me.mac)) << "nor is what is for nobody";
  EXPECT_EQ(world.audit(), "") << "and nothing was learnt by it";
}

TEST(Bridges, AFullOneHasOthersBesideIt) {
  Classroom world(1);
  for (DesktopId id = 1; id <= 3; ++id) {
    world.add(id);
    world.join(id, kRoom);
    await_member(world, id);
  }
  EXPECT_THAT(shards_of(world), ElementsAre(0U, 1U, 2U));
  EXPECT_EQ(world.audit(), "");
  for (const bool v6 : {false, true}) {
    EXPECT_TRUE(world.hears(3, 2, v6)) << v6;
    EXPECT_TRUE(world.hears(1, 3, v6)) << v6;
  }
  for (const char* address : kToAll)
    EXPECT_THAT(world.who_hears(2, address, {1, 3}), ElementsAre(1, 3)) << address;
  {
    Tap mouth(world.inside(2), kGroupInsideName);
    Tap trunk(world.panal(), hub_trunk_name({kRoom, 1}));
    const Mac from = Classroom::addresses(2).mac;
    EXPECT_TRUE(comes(mouth, trunk, kEverybody, from)) << "the test is blind";
    EXPECT_FALSE(comes(mouth, trunk, kNobody, from)) << "what is for nobody is on every bridge";
    EXPECT_FALSE(comes(mouth, trunk, Classroom::addresses(3).mac, from));
  }

  world.leave(2);
  ASSERT_TRUE(world.bridges().remove_empty());
  EXPECT_EQ(world.links(), "pnbbac24a40-0 pnbbac24a40-2 png1 png3 pntbac24a40-2 pnubac24a40-2 ");
  world.leave(1);
  ASSERT_TRUE(world.bridges().remove_empty());
  EXPECT_EQ(world.links(), "pnbbac24a40-0 pnbbac24a40-2 png3 pntbac24a40-2 pnubac24a40-2 ");
  EXPECT_EQ(world.audit(), "");
  world.join(2, kRoom);
  EXPECT_THAT(shards_of(world), ElementsAre(0U, 2U)) << "the hub has room again";
  await_member(world, 2);
  EXPECT_TRUE(world.hears(2, 3, false));
  world.leave(2);
  world.leave(3);
  world.leave(3);  // which is no error
  ASSERT_TRUE(world.bridges().remove_empty());
  EXPECT_EQ(world.links(), "");
}

TEST(Bridges, WhoIsThereStaysAndWhoMovesLeavesFirst) {
  Classroom world;
  for (DesktopId id = 1; id <= 3; ++id) {
    world.add(id);
    world.join(id, id == 3 ? kHall : kRoom);
  }
  const auto index = [&] {
    return output_inside(world.panal(), "ip -o link show dev png1 | cut -d: -f1");
  };
  const auto before = index();
  world.open_again();
  world.join(1, kRoom);
  EXPECT_EQ(index(), before) << "a new panald finds it";
  world.join(1, kHall);
  for (DesktopId id = 1; id <= 3; ++id) await_member(world, id);
  EXPECT_EQ(world.audit(), "");
  EXPECT_TRUE(world.hears(3, 1, false));
  EXPECT_FALSE(world.hears(2, 1, false));
  EXPECT_EQ(output_inside(world.inside(1), "ip -br link show | grep -c ^eth"), "1\n");
}

TEST(Bridges, ADesktopThatEndsTakesItsPortAlong) {
  Classroom world;
  world.add(1);
  world.join(1, kRoom);
  world.end(1);
  for (int round = 0; round < 500 && world.links() != "pnbbac24a40-0 "; ++round) ::usleep(10'000);
  EXPECT_EQ(world.links(), "pnbbac24a40-0 ");
  EXPECT_THAT(world.audit(), HasSubstr("link png1 is missing"));
  ASSERT_TRUE(world.bridges().remove_empty());
  EXPECT_EQ(world.links(), "");
}

TEST(Bridges, OneThatIsRefusedLeavesNoPort) {
  Classroom world;
  world.add(1);
  ASSERT_EQ(shell_inside(world.inside(1), "ip link add eth1 type veth peer name its_own"), 0);
  const auto refused = world.try_join(1, kRoom);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EEXIST) << refused.error().message();
  EXPECT_EQ(world.links(), "pnbbac24a40-0 ");
  ASSERT_EQ(shell_inside(world.inside(1), "ip link del eth1"), 0);
  world.join(1, kRoom);
  EXPECT_EQ(world.audit(), "");
  EXPECT_EQ(world.try_join(1, 0).error().code, EINVAL);
}

TEST(Bridges, APortGoesWhereTheRoutedLinkGoes) {
  Classroom world;
  world.add_with_routed_link(1);
  world.add(2);
  const auto refused =
      world.bridges().join(kRoom, Classroom::addresses(1), world.inside(2), Classroom::prefixes());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EXDEV) << refused.error().message();
  EXPECT_EQ(world.links(), "");
  EXPECT_EQ(output_inside(world.inside(2), "ip -br link show | grep -c ^eth"), "0\n");
  world.join(1, kRoom);
  EXPECT_EQ(world.audit(), "");
}

TEST(Bridges, WhatSomebodyChangesIsFoundAndMadeAnew) {
  struct Change {
    const char* command;
    const char* said;
  };
  constexpr Change kChanges[] = {
      {"bridge link set dev png1 learning on", "link png1 has learning 1, not 0"},
      {"bridge link set dev png1 locked off", "link png1 has locked 0, not 1"},
      {"bridge fdb add 02:02:02:02:02:02 dev png1 master static",
       "link png1 may send as 02:02:02:02:02:02"},
      {"bridge fdb del 02:70:00:00:00:01 dev png1 master",
       "link png1 misses the entry of 02:70:00:00:00:01"},
      {"ip link set dev png1 nomaster", "link png1 is a port of no bridge"},
      {"ip link set dev png1 down", "link png1 is down"},
      {"ip link del dev png1", "link png1 is missing"},
  };
  Classroom world;
  world.add(1);
  world.join(1, kRoom);
  for (const Change& change : kChanges) {
    ASSERT_EQ(world.audit(), "") << "before " << change.command;
    ASSERT_EQ(shell_inside(world.panal(), change.command), 0) << change.command;
    EXPECT_THAT(world.audit(), HasSubstr(change.said)) << change.command;
    world.leave(1);
    world.join(1, kRoom);
  }
  // A bridge somebody has deleted or changed: the next to join brings it back.
  ASSERT_EQ(shell_inside(world.panal(), "ip link del dev pnbbac24a40-0"), 0);
  EXPECT_THAT(world.audit(), HasSubstr("link png1 is a port of no bridge"));
  world.join(1, kRoom);
  EXPECT_EQ(world.audit(), "");
  ASSERT_EQ(shell_inside(world.panal(), "ip link set dev pnbbac24a40-0 type bridge stp_state 1"),
            0);
  EXPECT_THAT(world.audit(), HasSubstr("link pnbbac24a40-0 has spanning tree 1, not 0"));
  ASSERT_EQ(shell_inside(world.panal(),
                         "ip link add other type veth peer name else && "
                         "ip link set dev other master pnbbac24a40-0"),
            0);
  EXPECT_THAT(world.audit(), HasSubstr("link other is a port of pnbbac24a40-0 and nobody's"));
}

TEST(Bridges, WhatIsBridgedIsNotIptables) {
  Classroom world;
  EXPECT_EQ(output_inside(world.panal(),
                          "cat /proc/sys/net/bridge/bridge-nf-call-* 2>/dev/null | sort -u"
                          " | grep -v '^0$'"),
            "");
}

// Past the 1,023 ports of one bridge.
TEST(Bridges, AThousandAndThirtyDesktopsAreOnTwo) {
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = std::max<rlim_t>(files.rlim_cur, std::min<rlim_t>(files.rlim_max, 4096));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);

  constexpr DesktopId kCount = 1030;
  Classroom world;
  std::vector<DesktopId> ids;
  for (DesktopId id = 1; id <= kCount + 1; ++id) {
    world.add(id);
    world.join(id, id > kCount ? kHall : kRoom);
    ids.push_back(id);
  }
  for (const DesktopId id : {DesktopId{1}, DesktopId{500}, kCount, kCount + 1})
    await_member(world, id);
  const auto shards = shards_of(world);
  ASSERT_EQ(shards.size(), static_cast<std::size_t>(kCount) + 1);
  EXPECT_EQ(std::count(shards.begin(), shards.end(), 1U), 30);
  EXPECT_EQ(output_inside(world.panal(), "ip -o link show master pnbbac24a40-0 | wc -l"), "1001\n");
  EXPECT_EQ(output_inside(world.panal(), "ip -o link show master pnbbac24a40-1 | wc -l"), "31\n");
  EXPECT_EQ(world.audit(), "");
  for (const bool v6 : {false, true}) {
    EXPECT_TRUE(world.hears(kCount, 1, v6)) << v6;
    EXPECT_TRUE(world.hears(500, kCount, v6)) << v6;
    EXPECT_FALSE(world.hears(kCount + 1, 1, v6)) << v6;
  }
  // Not the first few: a frame to all of a bridge just fits a processor's queue
  // (net.core.netdev_max_backlog, 1,000), and the oldest ports come last.
  for (const char* address : kToAll)
    EXPECT_THAT(world.who_hears(kCount, address, {100, 500, kCount - 1, kCount + 1}),
                ElementsAre(100, 500, kCount - 1))
        << address;

  const auto left = world.bridges().leave(ids);
  ASSERT_TRUE(left) << left.error().message();
  ASSERT_TRUE(world.bridges().remove_empty());
  EXPECT_EQ(world.links(), "");
}

}  // namespace
}  // namespace panal::netconfine
