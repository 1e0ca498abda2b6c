#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "netconfine/policy/compiled.h"
#include "netconfine/policy/prefix.h"
#include "netconfine/policy/text.h"

namespace panal::netconfine {
namespace {

using ::testing::HasSubstr;

constexpr const char* kPolicies = R"(
[service.dns]
to = ["10.0.0.53", "fd00::53"]
ports = ["53/udp", "53/tcp"]
[service.web]
to = ["internet"]
ports = ["80/tcp", "443/tcp"]
[service.wide]
to = ["10.0.0.0/8"]
except = ["10.0.0.0/24"]
[service.help]
to = ["10.0.1.0/28"]
ports = ["22/tcp", "ping"]
[policy.office]
reach = ["dns", "web"]
reached_by = ["help"]
[policy.lab]
reach = ["dns", "wide"]
[policy.class]
group = "room"
[policy.other]
group = "corridor"
[policy.choir]
group = "hall"
[group.hall]
bridge = true
)";

class Explain : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto set = parse_policies(kPolicies, "n.toml");
    ASSERT_TRUE(set) << set.error().message();
    Surroundings around;
    around.uplink = "up0";
    around.desktops = {*parse_prefix("10.77.0.0/16"), *parse_prefix("fd77:70::/64")};
    around.uses = {{"class", "acme"},
                   {"class", "beta"},
                   {"other", "acme"},
                   {"choir", "acme"},
                   {"choir", "beta"}};
    around.bridges = true;
    const auto rules = compile(*set, around);
    ASSERT_TRUE(rules) << rules.error().message();
    rules_ = *rules;
    const auto pool = AddressPool::parse("10.77.0.0/16", "fd77:70::/64");
    ASSERT_TRUE(pool);
    pool_ = *pool;
  }

  Sender desktop(DesktopId id, const char* policy, const char* tenant = "acme") {
    return {*pool_.of(id), policy_id(rules_, policy, tenant)};
  }

  /// A flow from a desktop, or to one, with an address outside.
  static Flow flow(const Sender& one, const char* outside, Protocol protocol, std::uint16_t port,
                   bool out = true) {
    Flow flow;
    flow.protocol = protocol;
    flow.port = port;
    flow.v6 = std::string(outside).find(':') != std::string::npos;
    (out ? flow.from4 : flow.to4) = one.addresses.ipv4;
    (out ? flow.from6 : flow.to6) = one.addresses.ipv6;
    if (flow.v6)
      EXPECT_EQ(inet_pton(AF_INET6, outside, (out ? flow.to6 : flow.from6).data()), 1) << outside;
    else
      EXPECT_EQ(inet_pton(AF_INET, outside, (out ? flow.to4 : flow.from4).data()), 1) << outside;
    return flow;
  }
  [[nodiscard]] Explanation reach(const Sender& from, const char* to, Protocol protocol,
                                  std::uint16_t port = 0) const {
    return explain(rules_, &from, nullptr, flow(from, to, protocol, port));
  }
  [[nodiscard]] Explanation reached(const Sender& to, const char* from, Protocol protocol,
                                    std::uint16_t port = 0) const {
    return explain(rules_, nullptr, &to, flow(to, from, protocol, port, false));
  }
  [[nodiscard]] Explanation meet(const Sender& from, const Sender& to) const {
    Flow flow;
    flow.from4 = from.addresses.ipv4;
    flow.to4 = to.addresses.ipv4;
    flow.protocol = Protocol::kUdp;
    return explain(rules_, &from, &to, flow);
  }

  Ruleset rules_;
  AddressPool pool_ = *AddressPool::parse("10.0.0.0/8", "fd00::/64");
};

void expect(const Explanation& said, bool allowed, const char* rule) {
  EXPECT_EQ(said.allowed, allowed) << said.rule;
  EXPECT_EQ(said.rule, rule);
}

TEST_F(Explain, NamesTheServiceThatAllows) {
  const Sender office = desktop(7, "office");
  expect(reach(office, "10.0.0.53", Protocol::kUdp, 53), true, "policy office: service dns");
  expect(reach(office, "fd00::53", Protocol::kTcp, 53), true, "policy office: service dns");
  expect(reach(office, "9.9.9.9", Protocol::kTcp, 443), true, "policy office: service web");
  expect(reach(office, "2001:4860::8", Protocol::kTcp, 80), true, "policy office: service web");
}

TEST_F(Explain, SaysWhatIsMissing) {
  const Sender office = desktop(7, "office");
  expect(reach(office, "10.0.0.53", Protocol::kTcp, 22), false,
         "policy office: service dns is not for 22/tcp");
  expect(reach(office, "10.0.0.54", Protocol::kUdp, 53), false,
         "policy office: no service in reach is at 10.0.0.54");
  expect(reach(office, "192.168.1.1", Protocol::kTcp, 443), false,
         "policy office: service web leaves out 192.168.0.0/16");
  expect(reach(office, "9.9.9.9", Protocol::kIcmp), false,
         "policy office: service web is not for ping");
  expect(reach(office, "9.9.9.9", Protocol::kAny), false,
         "policy office: service web is not for other protocols");
  const Sender nobody = desktop(8, "none");
  EXPECT_EQ(nobody.policy, 0U);
  expect(reach(nobody, "10.0.0.53", Protocol::kUdp, 53), false, "no policy: nothing is allowed");
}

TEST_F(Explain, OneServicesExceptionIsNotAnothers) {
  const Sender lab = desktop(7, "lab");
  expect(reach(lab, "10.0.0.53", Protocol::kUdp, 53), true, "policy lab: service dns");
  expect(reach(lab, "10.0.0.54", Protocol::kUdp, 53), false,
         "policy lab: service wide leaves out 10.0.0.0/24");
  expect(reach(lab, "10.0.1.1", Protocol::kAny), true, "policy lab: service wide");
}

TEST_F(Explain, DesktopsAndLocalAddressesAreNoPartOfAService) {
  const Sender lab = desktop(7, "lab");
  expect(reach(lab, "10.77.0.99", Protocol::kTcp, 80), false,
         "policy lab: service wide leaves out 10.77.0.0/16");
  const Sender office = desktop(7, "office");
  for (const char* address : {"169.254.169.254", "127.0.0.1", "224.0.0.251", "255.255.255.255",
                              "0.0.0.0", "::1", "fe80::1", "ff02::1", "::ffff:9.9.9.9"})
    EXPECT_FALSE(reach(office, address, Protocol::kTcp, 80).allowed) << address;
}

TEST_F(Explain, TheOutsideComesInByReachedBy) {
  const Sender office = desktop(7, "office");
  expect(reached(office, "10.0.1.3", Protocol::kTcp, 22), true, "policy office: service help");
  expect(reached(office, "10.0.1.3", Protocol::kIcmp), true, "policy office: service help");
  expect(reached(office, "10.0.1.3", Protocol::kTcp, 23), false,
         "policy office: service help is not for 23/tcp");
  expect(reached(office, "10.0.1.16", Protocol::kTcp, 22), false,
         "policy office: no service in reached_by is at 10.0.1.16");
  expect(reached(office, "10.0.0.53", Protocol::kUdp, 53), false,
         "policy office: no service in reached_by is at 10.0.0.53");
}

TEST_F(Explain, DesktopsMeetInGroupsOfOneTenant) {
  const Sender a = desktop(1, "class"), b = desktop(2, "class"), c = desktop(3, "other");
  const Sender far = desktop(4, "class", "beta"), office = desktop(5, "office");
  const Sender lab = desktop(6, "lab"), nobody = desktop(7, "none");
  expect(meet(a, b), true, "policy class: group room");
  expect(meet(a, a), false, "its own address: no packet leaves");
  expect(meet(a, c), false, "policy class: the other desktop is in group corridor, not in room");
  expect(meet(a, far), false, "policy class: group room of another tenant");
  expect(meet(a, office), false, "policy class: the other desktop is in no group");
  expect(meet(a, nobody), false, "policy class: the other desktop is in no group");
  expect(meet(lab, a), false, "policy lab: in no group, so that it reaches no desktop");
  expect(meet(nobody, a), false, "no policy: nothing is allowed");
}

TEST_F(Explain, ABridgeIsNamedAndOpensNothingElse) {
  const Sender a = desktop(1, "choir"), b = desktop(2, "choir");
  const Sender far = desktop(3, "choir", "beta"), c = desktop(4, "class");
  expect(meet(a, b), true, "policy choir: group hall, which has a bridge");
  expect(meet(a, far), false, "policy choir: group hall of another tenant");
  expect(meet(a, c), false, "policy choir: the other desktop is in group room, not in hall");
  EXPECT_FALSE(reach(a, "224.0.0.251", Protocol::kUdp, 5353).allowed) << "no service";
}

TEST_F(Explain, ForgedAddressesAreTold) {
  const Sender a = desktop(1, "class"), b = desktop(2, "class");
  Flow flow;
  flow.from4 = b.addresses.ipv4;
  flow.to4 = b.addresses.ipv4;
  expect(explain(rules_, &a, &b, flow), false, "spoofed: 10.77.0.2 is not pnl1's address");
  flow.from4 = a.addresses.ipv4;
  flow.to4 = a.addresses.ipv4;
  expect(explain(rules_, &a, &b, flow), false, "10.77.0.1 is not pnl2's address");
  expect(explain(rules_, nullptr, nullptr, flow), false, "neither end is a desktop");
}

TEST_F(Explain, WithoutAnUplinkNothingIsOutside) {
  rules_.uplink.clear();
  const Sender office = desktop(7, "office");
  expect(reach(office, "10.0.0.53", Protocol::kUdp, 53), false, "no uplink: nothing leads outside");
  expect(reached(office, "10.0.1.3", Protocol::kTcp, 22), false,
         "no uplink: nothing leads outside");
  const Sender a = desktop(1, "class"), b = desktop(2, "class");
  expect(meet(a, b), true, "policy class: group room");
}

}  // namespace
}  // namespace panal::netconfine
