// Groups with bridges as a node has them: desktops join with their link, move with their policy,
// and are found again by a new panald; what somebody changes is mended, and what fails is closed.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>

#include "netconfine/bridge/shard.h"
#include "netconfine/netlink/enter.h"
#include "netconfine/policy/group_number.h"
#include "tests/system/netconfine/faulty.h"
#include "tests/system/netconfine/world.h"

namespace panal::netconfine {
namespace {

using namespace testing;
using Outcome = AuditReport::Outcome;

constexpr std::uint16_t kEarPort = 7079;
constexpr int kSoon = 400, kNever = 25;  // of 10 ms

const std::map<DesktopId, std::string> kSchool = {
    {1, "pupil"}, {2, "teacher"}, {3, "singer"}, {4, "alone"}};

PolicySet school(bool bridge = true) {
  auto set = policies({}, {policy("pupil", {}, {}, "room"), policy("teacher", {}, {}, "room"),
                           policy("singer", {}, {}, "choir"), policy("alone", {})});
  for (const char* name : {"room", "choir"}) set.groups[name] = {name, bridge};
  return set;
}

std::string hub_of(const char* group) { return bridge_name({group_number(group, "acme"), 0}); }

/// To all of the desktops' prefix: nothing but a bridge brings it to another one.
void shout(const UniqueFd& inside) {
  // A refusal is as good as silence.
  (void)run_inside(inside, [&]() -> Result<void> {
    const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int one = 1;
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(kEarPort);
    if (!fd || ::inet_pton(AF_INET, "10.77.255.255", &to.sin_addr) != 1 ||
        ::setsockopt(fd.get(), SOL_SOCKET, SO_BROADCAST, &one, sizeof(one)) != 0 ||
        ::sendto(fd.get(), "hello", 5, 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 5)
      return fail_errno("send to all");
    return {};
  });
}

/// Again and again: a link that has just come up drops what is sent at once.
bool hears(const World& world, DesktopId to, DesktopId from, int rounds) {
  UdpEar ear(world.inside(to), AF_INET, kEarPort);
  for (int round = 0; round < rounds; ++round) {
    shout(world.inside(from));
    ::usleep(10'000);
    if (ear.heard() > 0) return true;
  }
  return false;
}

/// What a program may without any right: past all routes, straight over a link, to many.
bool calls_on_many(const UniqueFd& inside, const std::string& link) {
  constexpr std::uint32_t kFirst = 0x0a4d0100, kMany = 200;  // 10.77.1.0
  const auto called = run_inside(inside, [&]() -> Result<void> {
    const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int one = 1;
    if (!fd ||
        ::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, link.c_str(),
                     static_cast<socklen_t>(link.size() + 1)) != 0 ||
        ::setsockopt(fd.get(), SOL_SOCKET, SO_DONTROUTE, &one, sizeof(one)) != 0)
      return fail_errno("call on many by", link);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(kEarPort);
    for (std::uint32_t i = 0; i < kMany; ++i) {
      to.sin_addr.s_addr = htonl(kFirst + i);
      (void)::sendto(fd.get(), "hello", 5, 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
    }
    return {};
  });
  return called.has_value();
}

/// Links of groups in Panal's namespace, in the order of names.
std::string group_links(const World& world) {
  return output_inside(
      world.panal(),
      "ip -br link show | grep -o '^pn[bgtu][-0-9a-f]*' | LC_ALL=C sort | tr '\\n' ' '");
}

std::string bridge_tables(const World& world) {
  return output_inside(world.panal(), "nft list tables | grep bridge");
}

std::string text_of(const AuditReport& report) {
  std::string text = report.why;
  for (const Drift& drift : report.drifts) text += "\n" + drift.where + " " + drift.what;
  return text;
}

class NetworkGroups : public ::testing::Test {
 protected:
  OpenBackend faulty() {
    return [this]() -> Result<std::unique_ptr<FirewallBackend>> {
      PANAL_ASSIGN(auto real, open_nftables_backend());
      return std::make_unique<Faulty>(std::move(real), faults_);
    };
  }
  static void expect_school(const World& world) {
    EXPECT_TRUE(hears(world, 2, 1, kSoon));
    EXPECT_TRUE(hears(world, 1, 2, kSoon));
    EXPECT_FALSE(hears(world, 3, 1, kNever));
    EXPECT_FALSE(hears(world, 4, 1, kNever));
  }
  [[nodiscard]] static std::uint32_t number(const World& world, const char* name) {
    return policy_id(world.rules(), name, "acme");
  }
  Faulty::Faults faults_;
};

TEST_F(NetworkGroups, WithoutABridgeNothingIsOther) {
  World world(open_nftables_backend, 4);
  ASSERT_TRUE(world.apply(school(false), kSchool));
  EXPECT_EQ(group_links(world), "");
  EXPECT_EQ(bridge_tables(world), "");
  EXPECT_EQ(output_inside(world.inside(1), "ip -br link show | grep -c eth1"), "0\n");
  EXPECT_FALSE(hears(world, 2, 1, kNever));
  EXPECT_EQ(world.network().audit().outcome, Outcome::kAsMeant);
}

TEST_F(NetworkGroups, DesktopsJoinAndLeaveWithTheRules) {
  World world(open_nftables_backend, 4);
  ASSERT_TRUE(world.apply(school(false), kSchool));
  const auto before = output_inside(world.panal(), "nft -s list ruleset");
  const auto applied = world.apply(school(), kSchool);
  ASSERT_TRUE(applied) << applied.error().message();
  EXPECT_EQ(output_inside(world.panal(), "ip -br link show | grep -c '^png'"), "3\n");
  expect_school(world);
  auto report = world.network().audit();
  EXPECT_EQ(report.outcome, Outcome::kAsMeant) << text_of(report);
  EXPECT_TRUE(report.untold);
  // The same rules again disturb nobody.
  const auto links = output_inside(world.panal(), "ip -o link show | grep png | cut -d: -f1,2");
  ASSERT_TRUE(world.apply(school(), kSchool));
  EXPECT_EQ(output_inside(world.panal(), "ip -o link show | grep png | cut -d: -f1,2"), links);
  // And without bridges it is as it was.
  ASSERT_TRUE(world.apply(school(false), kSchool));
  EXPECT_EQ(group_links(world), "");
  EXPECT_EQ(output_inside(world.panal(), "nft -s list ruleset"), before);
  EXPECT_EQ(output_inside(world.inside(1), "ip -br link show | grep -c eth1"), "0\n");
  report = world.network().audit();
  EXPECT_EQ(report.outcome, Outcome::kAsMeant) << text_of(report);
  EXPECT_FALSE(report.untold);
}

TEST_F(NetworkGroups, ADesktopMovesWithItsPolicy) {
  World world(open_nftables_backend, 4);
  ASSERT_TRUE(world.apply(school(), kSchool));
  expect_school(world);
  ASSERT_TRUE(world.network().set_policy(1, number(world, "singer")));
  EXPECT_TRUE(hears(world, 3, 1, kSoon));
  EXPECT_FALSE(hears(world, 2, 1, kNever));
  ASSERT_TRUE(world.network().set_policy(1, number(world, "alone")));
  EXPECT_FALSE(hears(world, 3, 1, kNever));
  EXPECT_EQ(output_inside(world.inside(1), "ip -br link show | grep -c eth1"), "0\n");
  ASSERT_TRUE(world.network().set_policy(1, number(world, "teacher")));
  EXPECT_TRUE(hears(world, 2, 1, kSoon));
  const auto report = world.network().audit();
  EXPECT_EQ(report.outcome, Outcome::kAsMeant) << text_of(report);
}

TEST_F(NetworkGroups, NobodyIsAskedForAndSingleMatesAreReachedOverTheRoutedLink) {
  World world(open_nftables_backend, 4);
  ASSERT_TRUE(world.apply(school(), kSchool));
  ASSERT_TRUE(hears(world, 2, 1, kSoon));
  for (const char* address : {"10.77.0.2", "fd77:70::2"}) {
    EXPECT_EQ(output_inside(world.inside(1),
                            std::string("ip route get ") + address + " | grep -c 'dev eth0'"),
              "1\n")
        << address;
    const bool v6 = std::string(address).find(':') != std::string::npos;
    UdpEar ear(world.inside(2), v6 ? AF_INET6 : AF_INET, kEarPort);
    bool heard = false;
    for (int round = 0; round < kSoon && !heard; ++round) {
      (void)say(world.inside(1), address, kEarPort);
      ::usleep(10'000);
      heard = ear.heard() > 0;
    }
    EXPECT_TRUE(heard) << address;
  }
  // The table of neighbours is the machine's, with room for some thousands.
  for (const std::string link : {"eth0", "eth1"}) {
    ASSERT_TRUE(calls_on_many(world.inside(1), link)) << link;
    EXPECT_EQ(
        output_inside(world.inside(1), "ip neigh show dev " + link + " nud incomplete | wc -l"),
        "0\n")
        << link;
  }
  EXPECT_TRUE(hears(world, 2, 1, kSoon)) << "all can still be called";
}

TEST_F(NetworkGroups, AttachPutsOnAndDetachTakesOff) {
  World world(open_nftables_backend, 4);
  ASSERT_TRUE(world.apply(school(), kSchool));
  ASSERT_TRUE(world.network().detach(1));
  EXPECT_EQ(group_links(world).find("png1 "), std::string::npos) << group_links(world);
  const auto attached = world.network().attach(1, world.inside(1));
  ASSERT_TRUE(attached) << attached.error().message();
  expect_school(world);
  // One that cannot be put on its bridge is not there by half.
  ASSERT_TRUE(world.network().detach(1));
  ASSERT_EQ(shell_inside(world.inside(1), "ip link add eth1 type veth peer name its_own"), 0);
  const auto refused = world.network().attach(1, world.inside(1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EEXIST) << refused.error().message();
  EXPECT_EQ(output_inside(world.panal(), "ip -o link show | grep -cE 'pn[lg]1@'"), "0\n");
  EXPECT_EQ(
      output_inside(world.panal(), "nft list ruleset | grep -v limit | grep -cE '\"pn[lg]1\"'"),
      "0\n")
      << "but for what counts its broadcasts, which forgets it in a minute";
  ASSERT_EQ(shell_inside(world.inside(1), "ip link del eth1"), 0);
  ASSERT_TRUE(world.network().attach(1, world.inside(1)));
  expect_school(world);
  // What is not live goes, by whichever name it is found.
  ASSERT_EQ(shell_inside(world.panal(), "ip link del pnl1"), 0);
  ASSERT_TRUE(world.network().recover({2, 3}));
  EXPECT_EQ(output_inside(world.panal(), "ip -br link show | grep -o '^pn[lg][0-9]*' | sort"),
            "png2\npng3\npnl2\npnl3\n");
  const DesktopId rest[] = {2, 3};
  ASSERT_TRUE(world.network().detach_all(rest));
  const auto report = world.network().audit();
  EXPECT_EQ(report.outcome, Outcome::kAsMeant) << text_of(report);
  EXPECT_EQ(group_links(world), "") << "bridges that nobody is on go with a look";
}

TEST_F(NetworkGroups, ARefusedDesktopLeavesNoBridgeBehind) {
  World world(open_nftables_backend, 4);
  ASSERT_TRUE(world.apply(school(), kSchool));
  ASSERT_TRUE(world.network().detach(3));
  EXPECT_EQ(world.network().audit().outcome, Outcome::kAsMeant);
  const std::string rest = group_links(world);
  EXPECT_EQ(rest.find(hub_of("choir")), std::string::npos) << rest;
  ASSERT_EQ(shell_inside(world.inside(3), "ip link add eth1 type veth peer name its_own"), 0);
  ASSERT_FALSE(world.network().attach(3, world.inside(3)));
  EXPECT_EQ(world.network().audit().outcome, Outcome::kAsMeant);
  EXPECT_EQ(group_links(world), rest);
}

TEST_F(NetworkGroups, ANewPanaldFindsThem) {
  World world(open_nftables_backend, 4);
  ASSERT_TRUE(world.apply(school(), kSchool));
  const auto links = [&] {
    return output_inside(world.panal(), "ip -o link show | grep 'png\\|pnb' | cut -d: -f1,2");
  };
  const auto before = links();
  std::map<DesktopId, std::uint32_t> has;
  for (const auto& [id, name] : kSchool) has[id] = number(world, name.c_str());
  const auto open = [&](const Ruleset& rules) {
    auto opened = Network::open(
        *world.panal().duplicate(), kWorldPlan, Logger::silent(), open_nftables_backend, rules,
        rules.policies.empty() ? std::map<DesktopId, std::uint32_t>() : has,
        [&](DesktopId id) -> Result<UniqueFd> { return world.inside(id).duplicate(); });
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
  };
  // One has been spoilt meanwhile, another has lost its port.
  ASSERT_EQ(shell_inside(world.panal(), "bridge link set dev png2 learning on"), 0);
  auto network = open(world.rules());
  ASSERT_NE(network, nullptr);
  EXPECT_EQ(links(), before) << "nobody was disturbed";
  auto report = network->audit();
  EXPECT_EQ(report.outcome, Outcome::kAsMeant) << text_of(report);
  ASSERT_EQ(shell_inside(world.panal(), "ip link del png3"), 0);
  network = open(world.rules());
  ASSERT_NE(network, nullptr);
  EXPECT_NE(links(), before);
  report = network->audit();
  EXPECT_EQ(report.outcome, Outcome::kAsMeant) << text_of(report);
  expect_school(world);
  // One that is to allow nothing finds them, too.
  network = open({});
  ASSERT_NE(network, nullptr);
  EXPECT_EQ(group_links(world), "");
  EXPECT_EQ(bridge_tables(world), "");
}

TEST_F(NetworkGroups, WhatSomebodyChangesIsMended) {
  World world(open_nftables_backend, 4);
  ASSERT_TRUE(world.apply(school(), kSchool));
  const std::string hub = hub_of("room");
  std::vector<std::string> changes = {
      "bridge link set dev png1 learning on",
      "bridge link set dev png1 locked off",
      "bridge link set dev png1 isolated on",
      "bridge link set dev png1 backup_port png2",
      "bridge fdb add 02:02:02:02:02:02 dev png1 master static",
      "bridge fdb del 02:70:00:00:00:01 dev png1 master",
      "ip link set dev png1 nomaster",
      "ip link set dev png1 down",
      "ip link del dev png1",
      "ip link set dev png1 master " + hub_of("choir"),
      "ip link set dev " + hub + " type bridge stp_state 1",
      "ip link set dev " + hub + " down",
      "ip link del dev " + hub,
      "ip link add other type veth peer name else && ip link set dev other master " + hub,
      "ip link set dev pnl4 master " + hub,
      "ip link add png4 type veth peer name else4 && ip link set dev png4 up master " + hub,
      "nft delete table bridge panal",
      "nft flush chain bridge panal forward",
      "nft flush map bridge panal group_of",
      "nft insert rule bridge panal prerouting accept",
  };
  // Not every kernel's bridges know VLANs.
  if (shell_inside(world.panal(),
                   "ip link add vlans type bridge vlan_filtering 1 && ip link del vlans") == 0)
    changes.push_back("ip link set dev " + hub + " type bridge vlan_filtering 1");
  for (const std::string& change : changes) {
    auto report = world.network().audit();
    ASSERT_EQ(report.outcome, Outcome::kAsMeant) << "before " << change << text_of(report);
    ASSERT_EQ(shell_inside(world.panal(), change), 0) << change;
    report = world.network().audit();
    EXPECT_EQ(report.outcome, Outcome::kRepaired) << change << text_of(report);
    EXPECT_FALSE(report.drifts.empty()) << change;
    report = world.network().audit();
    EXPECT_EQ(report.outcome, Outcome::kAsMeant) << change << text_of(report);
    if (HasFailure()) return;
    (void)shell_inside(world.panal(), "ip link del other 2>/dev/null");
  }
  expect_school(world);
}

TEST_F(NetworkGroups, ADesktopThatEndsIsNoDrift) {
  World world(open_nftables_backend, 4);
  ASSERT_TRUE(world.apply(school(), kSchool));
  ASSERT_EQ(shell_inside(world.panal(), "ip link del pnl1; ip link del png1"), 0);
  const auto report = world.network().audit();
  EXPECT_EQ(report.outcome, Outcome::kAsMeant) << text_of(report);
}

TEST_F(NetworkGroups, WhatCannotBeMendedCutsTheBridgesOffToo) {
  World world(faulty(), 4);
  ASSERT_TRUE(world.apply(school(), kSchool));
  ASSERT_TRUE(hears(world, 2, 1, kSoon));
  for (const bool cut_fails : {false, true}) {
    faults_.load = true;
    faults_.cut_off = cut_fails;
    ASSERT_EQ(shell_inside(world.panal(), "nft insert rule bridge panal prerouting accept"), 0);
    EXPECT_EQ(world.network().audit().outcome, Outcome::kCutOff) << cut_fails;
    EXPECT_FALSE(hears(world, 2, 1, kNever)) << cut_fails;
    // Nobody is brought back to a bridge while that lasts.
    ASSERT_TRUE(world.network().set_policy(4, 0));
    EXPECT_EQ(world.network().audit().outcome, Outcome::kCutOff) << cut_fails;
    EXPECT_FALSE(hears(world, 2, 1, kNever)) << cut_fails;
    faults_.load = faults_.cut_off = false;
    const auto report = world.network().audit();
    EXPECT_EQ(report.outcome, Outcome::kRepaired) << text_of(report);
    EXPECT_TRUE(hears(world, 2, 1, kSoon)) << cut_fails;
    EXPECT_EQ(bridge_tables(world), "table bridge panal\n");
  }
}

TEST_F(NetworkGroups, RulesThatFailLeaveEverybodyWhereHeWas) {
  World world(faulty(), 4);
  ASSERT_TRUE(world.apply(school(), kSchool));
  ASSERT_TRUE(hears(world, 2, 1, kSoon));
  faults_.late_loads = 1;
  ASSERT_FALSE(world.apply(school(false), kSchool));
  EXPECT_TRUE(hears(world, 2, 1, kSoon));
  EXPECT_FALSE(hears(world, 3, 1, kNever));
  const auto report = world.network().audit();
  EXPECT_EQ(report.outcome, Outcome::kAsMeant) << text_of(report);
}

TEST_F(NetworkGroups, RatesCountOnTheBridgeAsWell) {
  World world(open_nftables_backend, 4);
  auto set = school();
  set.policies["pupil"].limits.send_bits_per_second = 10'000'000;
  ASSERT_TRUE(world.apply(set, kSchool));
  const auto redirects = [&](const char* link) {
    return output_inside(world.panal(),
                         std::string("tc filter show dev ") + link + " ingress | grep -c mirred");
  };
  EXPECT_EQ(redirects("pnl1"), "1\n");
  EXPECT_EQ(redirects("png1"), "1\n");
  EXPECT_EQ(redirects("png2"), "0\n");
  EXPECT_TRUE(hears(world, 2, 1, kSoon)) << "by way of the shaper";
  // Whose port is made anew has it again.
  ASSERT_TRUE(world.network().detach(1));
  ASSERT_TRUE(world.network().attach(1, world.inside(1)));
  EXPECT_EQ(redirects("png1"), "1\n");
  EXPECT_TRUE(hears(world, 2, 1, kSoon));
  // Where a look has made it anew, with that look: the next one at rates is a minute away.
  auto report = world.network().audit();
  EXPECT_EQ(report.outcome, Outcome::kAsMeant) << text_of(report);
  ASSERT_EQ(shell_inside(world.panal(), "ip link del png1"), 0);
  report = world.network().audit();
  EXPECT_EQ(report.outcome, Outcome::kRepaired) << text_of(report);
  EXPECT_EQ(redirects("png1"), "1\n");
}

TEST(IptablesGroups, ABridgeIsRefusedInOneSentenceAndNothingChanges) {
  World world([] { return open_iptables_backend(); }, 2);
  ASSERT_TRUE(world.apply(school(false), {{1, "pupil"}, {2, "teacher"}}));
  const auto refused = world.apply(school(), {{1, "pupil"}, {2, "teacher"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EOPNOTSUPP);
  EXPECT_NE(refused.error().message().find("bridged groups need nftables"), std::string::npos)
      << refused.error().message();
  EXPECT_EQ(group_links(world), "");
  EXPECT_TRUE(world.passes(1, 2, udp6(ip6("fd77:70::1"), ip6("fd77:70::2")), true));
  EXPECT_EQ(world.network().audit().outcome, Outcome::kAsMeant);
}

}  // namespace
}  // namespace panal::netconfine
