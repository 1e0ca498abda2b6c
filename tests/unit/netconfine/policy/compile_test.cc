#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "netconfine/policy/amount.h"
#include "netconfine/policy/compiled.h"
#include "netconfine/policy/group_number.h"
#include "netconfine/policy/prefix.h"
#include "netconfine/policy/text.h"

namespace panal::netconfine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

PolicySet read(const std::string& text) {
  const auto set = parse_policies(text, "n.toml");
  EXPECT_TRUE(set) << set.error().message();
  return set.value_or(PolicySet());
}

Prefix prefix(const char* text) { return parse_prefix(text).value_or(Prefix()); }

Ruleset compiled(const PolicySet& set, const Surroundings& around = {}) {
  const auto rules = compile(set, around);
  EXPECT_TRUE(rules) << rules.error().message();
  return rules.value_or(Ruleset());
}

/// "dns 10.0.0.53 53/udp", "all -10.0.0.0/8".
std::vector<std::string> words(const std::vector<Allow>& lines) {
  std::vector<std::string> out;
  for (const Allow& line : lines)
    out.push_back(line.service + (line.except ? " -" : " ") + to_string(line.peer) +
                  (line.except ? "" : " " + to_string(Traffic{line.protocol, line.ports})));
  return out;
}

TEST(Compile, NothingIsNoRules) {
  EXPECT_EQ(compiled(PolicySet()), Ruleset());
  EXPECT_EQ(policy_id(Ruleset(), "none", ""), 0U);
}

TEST(Compile, ServicesBecomeLinesInTheOrderOfNames) {
  const Ruleset rules = compiled(read(R"(
[service.dns]
to = ["10.0.0.53", "fd00::53"]
ports = ["53/udp", "53/tcp"]
[service.all]
to = ["10.0.0.0/8", "10.9.0.0/16"]
except = ["10.1.0.0/16", "10.1.2.0/24"]
[policy.b]
reach = ["dns", "all"]
[policy.a]
reached_by = ["dns"]
)"));
  ASSERT_THAT(rules.policies, SizeIs(2));
  EXPECT_EQ(rules.policies[0].name, "a");
  EXPECT_EQ(rules.policies[0].id, 1U);
  EXPECT_THAT(rules.policies[0].reach, IsEmpty());
  EXPECT_THAT(words(rules.policies[0].reached_by),
              ElementsAre("dns 10.0.0.53 53/tcp", "dns 10.0.0.53 53/udp", "dns fd00::53 53/tcp",
                          "dns fd00::53 53/udp"));
  EXPECT_EQ(rules.policies[1].id, 2U);
  EXPECT_THAT(words(rules.policies[1].reach),
              ElementsAre("all -10.1.0.0/16", "all 10.0.0.0/8 any", "dns 10.0.0.53 53/tcp",
                          "dns 10.0.0.53 53/udp", "dns fd00::53 53/tcp", "dns fd00::53 53/udp"));
  EXPECT_EQ(policy_id(rules, "b", "anybody"), 2U);
  EXPECT_EQ(policy_id(rules, "c", ""), 0U);
}

TEST(Compile, PortsThatTouchAreOneRange) {
  const Ruleset rules = compiled(read(R"(
[service.a]
to = ["10.0.0.1"]
ports = ["80/tcp", "443/tcp", "81-90/tcp", "85-100/tcp", "65535/udp", "65534/udp", "ping"]
[service.b]
to = ["10.0.0.1"]
ports = ["80/tcp", "any"]
[policy.p]
reach = ["a", "b"]
)"));
  EXPECT_THAT(words(rules.policies[0].reach),
              ElementsAre("a 10.0.0.1 80-100/tcp", "a 10.0.0.1 443/tcp",
                          "a 10.0.0.1 65534-65535/udp", "a 10.0.0.1 ping", "b 10.0.0.1 any"));
}

TEST(Compile, WhatNobodyReachesAndDesktopsAreTakenOut) {
  Surroundings around;
  around.uplink = "up0";
  around.masquerade = true;
  around.desktops = {prefix("10.77.0.0/16"), prefix("fd77:70::/64")};
  const PolicySet set = read(
      "[service.x]\nto = [\"10.0.0.0/8\", \"fd00::/8\", \"128.0.0.0/1\"]\n[policy.p]\nreach = "
      "[\"x\"]\n");
  const Ruleset rules = compiled(set, around);
  EXPECT_EQ(rules.uplink, "up0");
  EXPECT_TRUE(rules.masquerade);
  EXPECT_THAT(
      words(rules.policies[0].reach),
      ElementsAre("x -10.77.0.0/16", "x -169.254.0.0/16", "x -224.0.0.0/3", "x -fd77:70::/64",
                  "x 10.0.0.0/8 any", "x 128.0.0.0/1 any", "x fd00::/8 any"));
  const auto inside = compile(read("[service.x]\nto = [\"10.77.0.9\"]\n"), around);
  ASSERT_FALSE(inside);
  EXPECT_EQ(inside.error().code, EINVAL);
  EXPECT_THAT(inside.error().context,
              HasSubstr("service x: 10.77.0.9 is an address of desktops, which reach each other by "
                        "groups only"));
}

TEST(Compile, GroupsAndSharedRatesEndAtTheTenant) {
  const PolicySet set = read(R"(
[policy.class]
group = "room"
[policy.share]
tenant_rate = { send = "1 Gbit" }
[policy.teacher]
group = "room"
[policy.plain]
)");
  Surroundings around;
  around.uses = {{"class", "acme"}, {"class", "beta"}, {"teacher", "acme"},
                 {"plain", "beta"}, {"share", "beta"}, {"gone", "acme"}};
  const Ruleset rules = compiled(set, around);
  ASSERT_THAT(rules.policies, SizeIs(5));
  const auto one = [&](const char* name, const char* tenant) {
    const std::uint32_t id = policy_id(rules, name, tenant);
    EXPECT_NE(id, 0U) << name << " " << tenant;
    return id == 0 ? CompiledPolicy() : rules.policies[id - 1];
  };
  EXPECT_EQ(one("class", "acme").group, one("teacher", "acme").group);
  EXPECT_NE(one("class", "acme").group, 0U);
  EXPECT_NE(one("class", "acme").group, one("class", "beta").group);
  EXPECT_EQ(one("class", "acme").tenant, "acme");
  EXPECT_EQ(one("class", "acme").group_name, "room");
  EXPECT_EQ(one("plain", "beta").tenant, "");
  EXPECT_EQ(one("plain", "beta").group, 0U);
  EXPECT_EQ(one("share", "beta").tenant_limits.send_bits_per_second, 1'000'000'000U);
  EXPECT_EQ(policy_id(rules, "class", "gamma"), 0U) << "of nobody's that was told";
  for (std::size_t i = 0; i < rules.policies.size(); ++i) EXPECT_EQ(rules.policies[i].id, i + 1);
}

TEST(Compile, ABridgeIsOfTheWholeGroupAndOnlyWhereThereAreRulesForIt) {
  const PolicySet set = read(R"(
[group.room]
bridge = true
[policy.class]
group = "room"
[policy.teacher]
group = "room"
[policy.other]
group = "hall"
[policy.plain]
)");
  Surroundings around;
  around.uses = {{"class", "acme"}, {"teacher", "acme"}, {"other", "acme"}, {"plain", "acme"}};
  const auto refused = compile(set, around);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EOPNOTSUPP);
  EXPECT_EQ(refused.error().context,
            "group room: bridge = true: bridged groups need nftables (backend in [network] of "
            "panal.toml); leave it out, and its desktops reach each other by address");
  EXPECT_FALSE(compile(set)) << "told before somebody has such a policy";
  around.bridges = true;
  const Ruleset rules = compiled(set, around);
  for (const CompiledPolicy& policy : rules.policies)
    EXPECT_EQ(policy.bridged, policy.group_name == "room") << policy.name;
  PolicySet without = set;
  without.groups["room"].bridge = false;
  for (const CompiledPolicy& policy : compiled(without).policies) EXPECT_FALSE(policy.bridged);
}

TEST(Compile, TwoGroupsDoNotShareABridge) {
  PolicySet set;
  for (const char* name : {"rvkmcr", "nhtgrt"}) {  // of one number, found by trying
    set.policies[name] = {.name = name, .group = name};
    set.groups[name] = {name, true};
  }
  ASSERT_EQ(group_number("rvkmcr", "acme"), group_number("nhtgrt", "acme"));
  Surroundings around;
  around.bridges = true;
  around.uses = {{"rvkmcr", "acme"}, {"nhtgrt", "acme"}};
  const auto both = compile(set, around);
  ASSERT_FALSE(both);
  EXPECT_EQ(both.error().code, EINVAL);
  EXPECT_EQ(both.error().context,
            "groups nhtgrt of tenant acme and rvkmcr of tenant acme would be on one bridge; give "
            "one of them another name");
  set.groups["rvkmcr"].bridge = false;
  EXPECT_TRUE(compile(set, around)) << "where it does not matter";
}

TEST(GroupNumber, FollowsFromTheNamesAlone) {
  EXPECT_EQ(group_number("class", "acme"), 0xbac24a40U) << "as nftables' set of the group has it";
  EXPECT_NE(group_number("class", "acme"), group_number("class", "beta"));
  EXPECT_NE(group_number("ab", "c"), group_number("a", "bc"));
  CompiledPolicy policy;
  policy.group_name = "class";
  policy.tenant = "acme";
  policy.group = 7;
  EXPECT_EQ(group_number(policy), group_number("class", "acme"));
  policy.group_name.clear();
  EXPECT_EQ(group_number(policy), group_number("7", "acme"));
}

TEST(Compile, SetsThatWereNotParsedAreLookedAtToo) {
  const auto refused = [](const PolicySet& set, const char* why) {
    const auto rules = compile(set);
    ASSERT_FALSE(rules) << why;
    EXPECT_EQ(rules.error().code, EINVAL);
    EXPECT_THAT(rules.error().context, HasSubstr(why));
  };
  PolicySet set;
  set.policies["p"] = {.name = "p", .reach = {"dns"}, .group = "g"};
  refused(set, "policy p: reach: there is no service dns");
  set.policies["p"] = {.name = "p", .reached_by = {"dns"}};
  refused(set, "policy p: reached_by: there is no service dns");
  set = {};
  set.policies["none"] = {.name = "none"};
  refused(set, "policy none is there already");
  set = {};
  set.fallback = "office";
  refused(set, "default: there is no policy office");
  set = {};
  set.services["x"] = {"x", {prefix("127.0.0.1")}, {}, {}};
  refused(set, "service x: 127.0.0.1 is never reached");
  set.services["x"] = {"x", {prefix("10.0.0.1")}, {prefix("10.0.0.0/8")}, {}};
  refused(set, "service x: nothing is left");
}

TEST(Compile, HasBounds) {
  PolicySet set;
  Service wide{"wide", {}, {}, {}};
  for (unsigned i = 0; i < 2000; ++i)
    wide.peers.push_back(
        prefix_of(Ipv4{10, static_cast<std::uint8_t>(i >> 8U), static_cast<std::uint8_t>(i), 1}));
  for (std::uint16_t i = 0; i < 20; ++i)
    wide.traffic.push_back(
        {Protocol::kTcp, {static_cast<std::uint16_t>(2 * i), static_cast<std::uint16_t>(2 * i)}});
  set.services["wide"] = wide;
  for (const char* name : {"a", "b"}) set.policies[name] = {.name = name, .reach = {"wide"}};
  ASSERT_TRUE(compile(set)) << "80,000 lines";
  set.policies["c"] = {.name = "c", .reach = {"wide"}};
  const auto rules = compile(set);
  ASSERT_FALSE(rules);
  EXPECT_THAT(rules.error().context, HasSubstr("more than 100000 lines"));

  PolicySet small;
  small.policies["g"] = {.name = "g", .group = "g"};
  Surroundings around;
  for (unsigned i = 0; i < 65'536; ++i) around.uses.insert({"g", std::to_string(i)});
  const auto many = compile(small, around);
  ASSERT_FALSE(many);
  EXPECT_THAT(many.error().context, HasSubstr("65536 policies"));
}

}  // namespace
}  // namespace panal::netconfine
