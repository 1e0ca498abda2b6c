#include <gtest/gtest.h>

#include "netconfine/policy/compiled.h"

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

}  // namespace
}  // namespace panal::netconfine
