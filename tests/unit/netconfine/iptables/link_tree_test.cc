#include "netconfine/firewall/iptables/link_tree.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <vector>

#include "netconfine/address/address_pool.h"

namespace panal::netconfine {
namespace {

RuleTable tree_of(const std::vector<DesktopId>& ids) {
  std::vector<LinkRule> rules;
  for (const DesktopId id : ids) rules.push_back({id, fmt::format("-i pnl{} -j ACCEPT", id)});
  RuleTable table;
  add_link_tree(table, "T", LinkSide::kIn, rules);
  return table;
}

bool matches(const std::string& rule, const std::string& link) {
  const auto name = rule.substr(3, rule.find(' ', 3) - 3);
  if (name.back() != '+') return name == link;
  return link.starts_with(name.substr(0, name.size() - 1));
}

/// What the kernel does: the number of rules looked at until one accepts; 0 when none does.
int rules_until_found(const RuleTable& table, const std::string& link) {
  std::string chain = "T";
  int looked_at = 0;
  for (;;) {
    const std::string before = chain;
    for (const auto& rule : table.at(before).rules) {
      ++looked_at;
      if (!matches(rule, link)) continue;
      if (rule.ends_with("-j ACCEPT")) return looked_at;
      chain = rule.substr(rule.find("-g ") + 3);
      break;
    }
    if (chain == before) return 0;
  }
}

TEST(LinkTree, NobodyHasAnEmptyChain) {
  const RuleTable expected = {{"T", {}}};
  EXPECT_EQ(tree_of({}), expected);
}

TEST(LinkTree, OneStandsInTheFirstChain) {
  const RuleTable expected = {{"T", {kOwnChain, {"-i pnl1234 -j ACCEPT"}}}};
  EXPECT_EQ(tree_of({1234}), expected);
}

TEST(LinkTree, DigitsLeadToTheRule) {
  const RuleTable expected = {{"T", {kOwnChain, {"-i pnl1+ -g T-1", "-i pnl2 -j ACCEPT"}}},
                              {"T-1", {kOwnChain, {"-i pnl1 -j ACCEPT", "-i pnl12+ -g T-12"}}},
                              {"T-12", {kOwnChain, {"-i pnl12 -j ACCEPT", "-i pnl123 -j ACCEPT"}}}};
  EXPECT_EQ(tree_of({123, 1, 12, 2}), expected);
}

TEST(LinkTree, TheOrderOfDesktopsDoesNotMatter) {
  EXPECT_EQ(tree_of({7, 70, 77, 700, 9}), tree_of({700, 9, 77, 7, 70}));
}

TEST(LinkTree, EachFindsItsOwnAndNoOther) {
  const std::vector<DesktopId> ids = {1, 2, 10, 11, 12, 100, 101, 110, 111, 999, 1000, 65534};
  const auto table = tree_of(ids);
  for (const DesktopId id : ids) EXPECT_GT(rules_until_found(table, link_name(id)), 0) << id;
  for (const DesktopId id : {3, 13, 102, 112, 1001, 6553, 9, 99, 10000})
    EXPECT_EQ(rules_until_found(table, link_name(id)), 0) << id;
}

TEST(LinkTree, TenThousandCostFewRulesMoreThanAHundred) {
  for (const auto& [count, most] :
       {std::pair{100, 21}, std::pair{1000, 31}, std::pair{10000, 42}}) {
    std::vector<DesktopId> ids;
    for (DesktopId id = 1; id <= count; ++id) ids.push_back(id);
    const auto table = tree_of(ids);
    int worst = 0;
    for (const DesktopId id : ids) worst = std::max(worst, rules_until_found(table, link_name(id)));
    EXPECT_LE(worst, most) << count;
  }
}

TEST(LinkTree, OutgoingLinksAreAskedForWithTheOtherFlag) {
  RuleTable table;
  add_link_tree(table, "T", LinkSide::kOut,
                std::vector<LinkRule>{{10, "-o pnl10 -j ACCEPT"}, {11, "-o pnl11 -j ACCEPT"}});
  EXPECT_EQ(table.at("T").rules, std::vector<std::string>{"-o pnl1+ -g T-1"});
}

}  // namespace
}  // namespace panal::netconfine
