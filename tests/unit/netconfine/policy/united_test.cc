#include <gtest/gtest.h>

#include <random>
#include <span>

#include "netconfine/policy/compiled.h"
#include "netconfine/policy/prefix.h"

namespace panal::netconfine {
namespace {

CompiledPolicy one_of(std::uint32_t id, const std::string& name, const std::string& tenant = "",
                      std::uint32_t group = 0, const std::string& group_name = "") {
  CompiledPolicy policy;
  policy.id = id;
  policy.name = name;
  policy.tenant = tenant;
  policy.group = group;
  policy.group_name = group_name;
  return policy;
}

TEST(United, HasThePoliciesOfBothAndThoseOfTheNextWhereBothHaveThem) {
  Ruleset old, next;
  old.uplink = "old0";
  old.policies = {one_of(1, "a"), one_of(2, "b", "acme", 1, "room")};
  next.uplink = "up0";
  next.masquerade = true;
  next.policies = {one_of(1, "a"), one_of(2, "b", "other", 1, "room"), one_of(3, "c")};
  next.policies[0].limits.connections = 7;
  const Ruleset both = united(old, next);
  EXPECT_EQ(both.uplink, "up0");
  EXPECT_TRUE(both.masquerade);
  ASSERT_EQ(both.policies.size(), 4U);
  EXPECT_EQ(both.policies[0].limits.connections, 7U) << "as the next one has it";
  // By name and tenant, numbered anew.
  EXPECT_EQ(policy_id(both, "b", "acme"), 2U);
  EXPECT_EQ(policy_id(both, "b", "other"), 3U);
  EXPECT_EQ(policy_id(both, "c", ""), 4U);
  for (std::uint32_t i = 0; i < 4; ++i) EXPECT_EQ(both.policies[i].id, i + 1);
  EXPECT_NE(both.policies[1].group, 0U);
  EXPECT_NE(both.policies[1].group, both.policies[2].group) << "a group ends at the tenant";
}

TEST(United, WithNothingOldIsTheNextOne) {
  Ruleset next;
  next.policies = {one_of(1, "a"), one_of(2, "b", "acme", 1, "room")};
  EXPECT_EQ(united({}, next), next);
  EXPECT_EQ(united(next, next), next);
}

const std::vector<DesktopId> kAll = {1, 2, 3, 4};

Sender sender_of(DesktopId id, const Assignments& has) {
  const auto found = has.find(id);
  return {*AddressPool::parse("10.77.0.0/16", "fd77:70::/64")->of(id),
          found == has.end() ? 0 : found->second};
}

bool talk(const RulesStep& step, DesktopId from, DesktopId to) {
  const Sender one = sender_of(from, step.policies), other = sender_of(to, step.policies);
  Flow flow;
  flow.from4 = one.addresses.ipv4;
  flow.to4 = other.addresses.ipv4;
  return explain(step.rules, &one, &other, flow).allowed;
}

bool asks(const RulesStep& step, DesktopId from, std::uint8_t last) {
  const Sender one = sender_of(from, step.policies);
  Flow flow;
  flow.from4 = one.addresses.ipv4;
  flow.to4 = {10, 1, 0, last};
  return explain(step.rules, &one, nullptr, flow).allowed;
}

CompiledPolicy reaching(CompiledPolicy policy, std::uint8_t last) {
  policy.reach.push_back({.service = "one",
                          .peer = prefix_of(Ipv4{10, 1, 0, last}),
                          .except = false,
                          .protocol = Protocol::kAny,
                          .ports = {}});
  return policy;
}

TEST(StepsBetween, NobodyIsInANewGroupWithWhatItHadBefore) {
  // One leaves the policy that is in group g, the other's policy moves there.
  RulesStep old, next;
  old.rules.policies = {one_of(1, "guest"), one_of(2, "office", "acme", 2, "h"),
                        one_of(3, "p", "acme", 1, "g")};
  old.policies = {{1, 3}, {2, 2}};
  next.rules.policies = {one_of(1, "guest"), one_of(2, "office", "acme", 1, "g")};
  next.policies = {{1, 1}, {2, 2}};
  const auto steps = steps_between(old.rules, old.policies, next.rules, next.policies, kAll);
  ASSERT_EQ(steps.size(), 2U);
  for (const RulesStep& step : steps) {
    EXPECT_FALSE(talk(step, 1, 2));
    EXPECT_FALSE(talk(step, 2, 1));
  }
}

TEST(StepsBetween, NoneWhereNobodyGoesFromAPolicyThatEndsOrToANewOne) {
  RulesStep old, next;
  old.rules.policies = {one_of(1, "a"), one_of(2, "b"), one_of(3, "c")};
  next.rules.policies = {one_of(1, "a"), one_of(2, "b"), one_of(3, "d")};
  next.rules.policies[0].limits.connections = 7;
  const auto count = [&](const Assignments& had, const Assignments& has) {
    return steps_between(old.rules, had, next.rules, has, kAll).size();
  };
  EXPECT_EQ(count({{1, 1}}, {{1, 2}}), 0U);
  EXPECT_EQ(count({{1, 3}}, {}), 0U) << "to nothing, at once";
  EXPECT_EQ(count({}, {{1, 3}}), 0U);
  EXPECT_EQ(count({{1, 3}}, {{1, 1}}), 2U);
  EXPECT_EQ(count({{1, 1}}, {{1, 3}}), 2U);
  EXPECT_EQ(count({{9, 3}}, {{9, 1}}), 0U) << "it has no link";
}

TEST(StepsBetween, APolicyThatGetsAGroupIsAnother) {
  RulesStep old, next;
  old.rules.uplink = next.rules.uplink = "up0";
  old.rules.policies = {reaching(one_of(1, "a"), 1)};
  next.rules.policies = {reaching(one_of(1, "a", "acme", 1, "g"), 2)};
  old.policies = next.policies = {{1, 1}};
  const auto steps = steps_between(old.rules, old.policies, next.rules, next.policies, kAll);
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_TRUE(asks(steps[0], 1, 1) && !asks(steps[0], 1, 2));
  EXPECT_TRUE(asks(steps[1], 1, 2) && !asks(steps[1], 1, 1));
}

// Some of a, b, c, d; each in one of two groups or none, each reaching one of two places or none.
RulesStep random_step(std::mt19937& random) {
  RulesStep step;
  step.rules.uplink = "up0";
  for (const char* name : {"a", "b", "c", "d"}) {
    if (random() % 3 == 0) continue;
    const auto id = static_cast<std::uint32_t>(step.rules.policies.size() + 1);
    const auto group = static_cast<std::uint32_t>(random() % 3);
    auto policy =
        group == 0 ? one_of(id, name) : one_of(id, name, "acme", group, group == 1 ? "g" : "h");
    if (random() % 2 == 0) policy = reaching(policy, static_cast<std::uint8_t>(random() % 2));
    step.rules.policies.push_back(std::move(policy));
  }
  const auto most = static_cast<std::uint32_t>(step.rules.policies.size());
  for (const DesktopId id : kAll)
    step.policies[id] = static_cast<std::uint32_t>(random() % (most + 1));
  return step;
}

TEST(StepsBetween, NothingPassesThatNeitherTheOldNorTheNewRulesAllow) {
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same each time
  int walked = 0, passed = 0;
  for (int round = 0; round < 500; ++round) {
    const RulesStep old = random_step(random);
    const RulesStep next = random_step(random);
    const auto steps = steps_between(old.rules, old.policies, next.rules, next.policies, kAll);
    for (const RulesStep& step : steps) {
      ++walked;
      for (const DesktopId from : kAll) {
        for (const std::uint8_t last : {std::uint8_t{0}, std::uint8_t{1}}) {
          if (!asks(step, from, last)) continue;
          ++passed;
          EXPECT_TRUE(asks(old, from, last) || asks(next, from, last)) << round;
        }
        for (const DesktopId to : kAll) {
          if (!talk(step, from, to)) continue;
          ++passed;
          EXPECT_TRUE(talk(old, from, to) || talk(next, from, to)) << round;
        }
      }
    }
  }
  EXPECT_GT(walked, 100) << "the test says too little";
  EXPECT_GT(passed, 100) << "the test says too little";
}

}  // namespace
}  // namespace panal::netconfine
