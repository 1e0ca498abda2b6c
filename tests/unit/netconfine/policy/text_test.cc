#include "netconfine/policy/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "netconfine/policy/compiled.h"
#include "netconfine/policy/prefix.h"

namespace panal::netconfine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

PolicySet read(const std::string& text) {
  const auto set = parse_policies(text, "n.toml");
  EXPECT_TRUE(set) << set.error().message();
  return set.value_or(PolicySet());
}

TEST(PolicyText, NothingSaidIsNothingAllowed) {
  const PolicySet set = read("");
  EXPECT_EQ(set, PolicySet());
  EXPECT_EQ(print_policies(set), "");
}

TEST(PolicyText, TheExampleIsReadPrintsTheSameAndCompiles) {
  std::ifstream file(PANAL_SOURCE_DIR "/scripts/network.toml");
  std::ostringstream text;
  text << file.rdbuf();
  const auto set = parse_policies(text.str(), "network.toml");
  ASSERT_TRUE(set) << set.error().message();
  EXPECT_THAT(set->services, SizeIs(6));
  EXPECT_THAT(set->policies, SizeIs(3));
  EXPECT_EQ(set->fallback, kNoPolicy) << "an example that is copied opens nothing";
  const auto again = parse_policies(print_policies(*set), "printed.toml");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(*again, *set);
  const auto rules = compile(*set);
  EXPECT_TRUE(rules) << rules.error().message();
}

TEST(PolicyText, SaysAllThatAPolicyCan) {
  const PolicySet set = read(R"(
default = "office"
[service.dns]
to = ["10.0.0.53", "fd00::53"]
ports = ["53/udp", "53/tcp"]
[service.all]
to = ["any"]
except = ["private", "9.9.9.9"]
[policy.office]
reach = ["dns", "all"]
reached_by = ["dns"]
group = "room-7"
log = "all"
connections = 10
new_connections_per_second = 5
[policy.office.rate]
send = "20 Mbit"
receive = "100 Mbit"
burst = "256 KiB"
[policy.office.tenant_rate]
send = "1 Gbit"
)");
  EXPECT_EQ(set.fallback, "office");
  const Service& dns = set.services.at("dns");
  EXPECT_EQ(dns.name, "dns");
  EXPECT_THAT(dns.peers, SizeIs(2));
  EXPECT_THAT(dns.traffic,
              ElementsAre(Traffic{Protocol::kUdp, {53, 53}}, Traffic{Protocol::kTcp, {53, 53}}));
  const Service& all = set.services.at("all");
  EXPECT_EQ(all.peers, all_addresses());
  EXPECT_THAT(all.except, SizeIs(7));
  EXPECT_THAT(all.traffic, IsEmpty());
  const NetPolicy& office = set.policies.at("office");
  EXPECT_THAT(office.reach, ElementsAre("dns", "all"));
  EXPECT_THAT(office.reached_by, ElementsAre("dns"));
  EXPECT_EQ(office.group, "room-7");
  EXPECT_EQ(office.log, NetLog::kAll);
  EXPECT_EQ(office.limits, (NetLimits{20'000'000, 100'000'000, 262'144, 10, 5}));
  EXPECT_EQ(office.tenant_limits, (NetLimits{1'000'000'000, 0, 0, 0, 0}));
  EXPECT_EQ(read(print_policies(set)), set);
}

TEST(PolicyText, AGroupHasABridgeWhereItIsSaid) {
  const PolicySet set = read(R"(
[group.room]
bridge = true
[group.hall]
[group.yard]
bridge = false
[policy.a]
group = "room"
[policy.b]
group = "hall"
[policy.c]
group = "yard"
[policy.d]
group = "plain"
)");
  EXPECT_THAT(set.groups, SizeIs(3)) << "those that something is said about";
  EXPECT_EQ(set.groups.at("room"), (NetGroup{"room", true}));
  EXPECT_EQ(set.groups.at("hall"), (NetGroup{"hall", false}));
  EXPECT_EQ(set.groups.at("yard"), (NetGroup{"yard", false}));
  EXPECT_EQ(read(print_policies(set)), set);
  EXPECT_EQ(print_group(set.groups.at("room")), "[group.room]\nbridge = true\n");
  EXPECT_EQ(print_group(set.groups.at("hall")), "[group.hall]\n");
}

TEST(PolicyText, TheInternetIsWhatIsNotPrivate) {
  const PolicySet set = read("[service.web]\nto = [\"internet\"]\nexcept = [\"9.9.9.9\"]\n");
  const Service& web = set.services.at("web");
  EXPECT_EQ(web.peers, all_addresses());
  const auto left_out = [&](const char* address) {
    return covering(web.except, *parse_prefix(address)) != nullptr;
  };
  for (const char* address : {"10.1.2.3", "192.168.0.1", "100.64.0.1", "fd00::1", "9.9.9.9",
                              "2002:a00:1::1", "64:ff9b::a00:1"})
    EXPECT_TRUE(left_out(address)) << address;
  for (const char* address : {"8.8.8.8", "172.32.0.1", "2001:4860::1", "64:ff9b::808:808"})
    EXPECT_FALSE(left_out(address)) << address;
  EXPECT_EQ(read(print_policies(set)), set);
}

struct Malformed {
  std::string text;
  const char* sentence;  ///< how it must begin, after "bad.toml:"
};

class MalformedPolicies : public ::testing::TestWithParam<Malformed> {};

TEST_P(MalformedPolicies, AreRefusedWithTheirPlace) {
  const auto set = parse_policies(GetParam().text, "bad.toml");
  ASSERT_FALSE(set) << GetParam().text;
  EXPECT_EQ(set.error().code, EPROTO);
  EXPECT_THAT(set.error().context, StartsWith(std::string("bad.toml:") + GetParam().sentence));
  EXPECT_THAT(set.error().context, ::testing::Not(HasSubstr("\n")));
}

const std::string kDns = "[service.dns]\nto = [\"10.0.0.53\"]\n";
const std::string kOffice = kDns + "[policy.office]\n";
const std::string kRoom = "[policy.pupil]\ngroup = \"room\"\n";

INSTANTIATE_TEST_SUITE_P(
    Table, MalformedPolicies,
    ::testing::Values(
        Malformed{"default = ", "1: "}, Malformed{"\xff", "1: "},
        Malformed{"[service.dns]\n[service.dns]\n", "2: "},
        Malformed{"[polcy.a]\n",
                  "1: unknown key polcy in a file of network policies; the nearest known one is "
                  "policy"},
        Malformed{"fallback = \"a\"\n", "1: unknown key fallback in a file of network policies; "},
        Malformed{"default = 3\n", "1: default must be text in quotes"},
        Malformed{"default = \"office\"\n", "1: unknown policy office in default"},
        Malformed{"default = \"offce\"\n" + kOffice,
                  "1: unknown policy offce in default; the nearest known one is office"},
        Malformed{"service = 3\n", "1: service must be sections: [service.NAME]"},
        Malformed{"policy = [1]\n", "1: policy must be sections: [policy.NAME]"},
        Malformed{"[service]\ndns = \"10.0.0.53\"\n",
                  "2: service dns must be a section: [service.dns]"},
        Malformed{"[service.DNS]\nto = [\"10.0.0.53\"]\n", "1: service DNS: a name is 1 to 32"},
        Malformed{"[policy.\"a b\"]\n", "1: policy a b: a name is 1 to 32"},
        Malformed{"[policy.\"\"]\n", "1: policy : a name is 1 to 32"},
        Malformed{"[policy.a234567890123456789012345678901234]\n", "1: policy a2345"},
        Malformed{"[policy.\"a\\u001b[31m\"]\n", "1: policy a\\x1b[31m: a name is"},
        Malformed{"[policy.none]\n", "1: policy none is there already: it allows nothing"},
        // services
        Malformed{"[service.dns]\n", "1: [service.dns] must say to = [...]"},
        Malformed{"[service.dns]\nto = []\n", "2: to must name an address"},
        Malformed{"[service.dns]\nto = \"10.0.0.53\"\n", "2: to must be a list: to = [\"...\"]"},
        Malformed{"[service.dns]\nto = [53]\n", "2: to must be text in quotes"},
        Malformed{"[service.dns]\nto = [\"dns.example.org\"]\n",
                  "2: to: \"dns.example.org\" is no address; write an address or prefix (names are "
                  "not looked up)"},
        Malformed{"[service.dns]\nto = [\"internt\"]\n",
                  "2: to: \"internt\" is no address; the nearest known word is internet"},
        Malformed{"[service.dns]\nto = [\"10.0.0.53/8\"]\n",
                  "2: to: \"10.0.0.53/8\" has address bits past its length of 8"},
        Malformed{"[service.dns]\nto = [\"10.0.0.0/40\"]\n",
                  "2: to: \"10.0.0.0/40\" needs a length of 0 to 32 behind /"},
        Malformed{"[service.dns]\nto = [\"127.0.0.1\"]\n", "2: to: 127.0.0.1 is never reached"},
        Malformed{"[service.dns]\nto = [\"169.254.169.254\"]\n", "2: to: 169.254.169.254 is never"},
        Malformed{"[service.dns]\nto = [\"::ffff:10.0.0.1\"]\n", "2: to: ::ffff:10.0.0.1 is never"},
        Malformed{"[service.dns]\nto = [\"fe80::1\"]\n", "2: to: fe80::1 is never reached"},
        Malformed{"[service.dns]\nto = [\"ff02::fb\"]\n", "2: to: ff02::fb is never reached"},
        Malformed{"[service.dns]\nto = [\"255.255.255.255\"]\n", "2: to: 255.255.255.255 is never"},
        Malformed{"[service.dns]\nto = [\"internet\", \"10.0.0.1\"]\n",
                  "2: \"internet\" stands alone in to"},
        Malformed{"[service.dns]\nto = [\"10.0.0.1\",\n\"internet\"]\n",
                  "3: \"internet\" stands alone in to"},
        Malformed{kDns + "except = [\"10.0.0.54\"]\n",
                  "3: except: 10.0.0.54 is no part of what [service.dns] is at"},
        Malformed{kDns + "except = [\"private\"]\n",
                  "3: except leaves nothing of what [service.dns] is at"},
        Malformed{kDns + "except = [\"internet\"]\n", "3: except: \"internet\" is no address"},
        Malformed{kDns + "ports = []\n", "3: ports is empty; leave it out for all traffic"},
        Malformed{kDns + "ports = 53\n", "3: ports must be a list: ports = [\"...\"]"},
        Malformed{kDns + "ports = [53]\n", "3: ports must be text in quotes"},
        Malformed{kDns + "ports = [\"53\"]\n",
                  "3: ports: \"53\" lacks a protocol: write \"53/tcp\" or \"53/udp\""},
        Malformed{kDns + "ports = [\"53/dccp\"]\n", "3: ports: \"53/dccp\" must be like"},
        Malformed{kDns + "port = [\"53/udp\"]\n",
                  "3: unknown key port in [service.dns]; the nearest known one is ports"},
        // policies
        Malformed{kOffice + "reach = [\"dsn\"]\n",
                  "4: unknown service dsn in reach; the nearest known one is dns"},
        Malformed{kOffice + "reached_by = [\"x\\u0007y\"]\n",
                  "4: unknown service x\\x07y in reached_by"},
        Malformed{kOffice + "reach = [\"dns\",\n\"dns\"]\n", "5: reach names service dns twice"},
        Malformed{kOffice + "reach = \"dns\"\n", "4: reach must be a list"},
        Malformed{kOffice + "reaches = [\"dns\"]\n",
                  "4: unknown key reaches in [policy.office]; the nearest known one is reach"},
        Malformed{kOffice + "group = \"Room 7\"\n", "4: group must be a name"},
        Malformed{kOffice + "group = \"\"\n", "4: group must be a name"},
        Malformed{kOffice + "log = true\n", "4: log must be text in quotes"},
        Malformed{kOffice + "log = \"drops\"\n", "4: log must be one of \"none\", \"denied\", "},
        Malformed{kOffice + "connections = 0\n",
                  "4: connections = 0 is out of range; 1 to 10000000 are allowed"},
        Malformed{kOffice + "connections = -1\n", "4: connections = -1 is out of range"},
        Malformed{kOffice + "connections = \"many\"\n", "4: connections must be a whole number"},
        Malformed{kOffice + "new_connections_per_second = 1.5\n",
                  "4: new_connections_per_second must be a whole number"},
        Malformed{kOffice + "rate = \"20 Mbit\"\n",
                  "4: rate must be a section: [policy.office.rate]"},
        Malformed{kOffice + "rate = { sent = \"20 Mbit\" }\n",
                  "4: unknown key sent in [policy.office.rate]; the nearest known one is send"},
        Malformed{kOffice + "rate = { send = 20 }\n", "4: send must be text in quotes"},
        Malformed{kOffice + "rate = { send = \"20 MB\" }\n",
                  "4: send = \"20 MB\" must be a whole number and one of bit, kbit, Mbit, Gbit"},
        Malformed{kOffice + "rate = { send = \"0 bit\" }\n", "4: send = \"0 bit\" is out of range"},
        Malformed{
            kOffice + "rate = { send = \"9000 Gbit\" }\n",
            "4: send = \"9000 Gbit\" is out of range; more than nothing and at most 1000 Gbit"},
        Malformed{kOffice + "rate = { burst = \"1 MiB\" }\n",
                  "4: [policy.office.rate] must say send or receive"},
        Malformed{kOffice + "rate = { send = \"1 Mbit\", burst = \"2 GiB\" }\n",
                  "4: burst = \"2 GiB\" is out of range"},
        Malformed{kOffice + "tenant_rate = 3\n",
                  "4: tenant_rate must be a section: [policy.office.tenant_rate]"},
        // groups
        Malformed{"group = 3\n", "1: group must be sections: [group.NAME]"},
        Malformed{"[group]\nroom = true\n", "2: group room must be a section: [group.room]"},
        Malformed{"[group.Room]\n", "1: group Room: a name is 1 to 32"},
        Malformed{"[group.room]\nbridge = true\n", "1: unknown group room in the policies"},
        Malformed{kRoom + "[group.romm]\nbridge = true\n",
                  "3: unknown group romm in the policies; the nearest known one is room"},
        Malformed{kRoom + "[group.room]\n[group.room]\n", "4: "},
        Malformed{kRoom + "[group.room]\nbridge = 1\n", "4: bridge must be true or false"},
        Malformed{kRoom + "[group.room]\nbridge = \"true\"\n", "4: bridge must be true or false"},
        Malformed{kRoom + "[group.room]\nbridged = true\n",
                  "4: unknown key bridged in [group.room]; the nearest known one is bridge"},
        // The first in the file is told, whatever is read first.
        Malformed{"[policy.office]\nlog = 3\n[service.dns]\n", "2: log must be text in quotes"}));

TEST(PolicyText, AFileWithoutEndIsRefusedUnread) {
  const auto set = parse_policies(std::string(300'000, '#'), "big.toml");
  ASSERT_FALSE(set);
  EXPECT_THAT(set.error().context, HasSubstr("at most 256 KiB"));
}

}  // namespace
}  // namespace panal::netconfine
