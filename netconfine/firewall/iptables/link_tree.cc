#include "netconfine/firewall/iptables/link_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace panal::netconfine {
namespace {

using Entry = std::pair<std::string, const std::string*>;  ///< the id's digits, the rule

class Tree {
 public:
  Tree(RuleTable& table, std::string name, LinkSide side)
      : table_(table), name_(std::move(name)), flag_(side == LinkSide::kIn ? "-i" : "-o") {}

  // `entries`: all with the prefix `digits`, sorted.
  void add(const std::string& digits, std::span<const Entry> entries) {
    std::vector<std::string> rules;
    while (!entries.empty()) {
      const std::string& first = entries.front().first;
      const auto below = digits.size() + 1;
      const auto end = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) {
        return entry.first.compare(0, below, first, 0, below) != 0;
      });
      const auto branch = entries.first(static_cast<std::size_t>(end - entries.begin()));
      entries = entries.subspan(branch.size());
      if (branch.size() == 1) {
        rules.push_back(*branch.front().second);
        continue;
      }
      const std::string child = first.substr(0, below);
      // The wildcard takes pnl12 to where pnl12, pnl120 and pnl1234 are told apart. Not a call:
      // whoever is not found there is nowhere else.
      rules.push_back(fmt::format("{} pnl{}+ -g {}", flag_, child, chain_of(child)));
      add(child, branch);
    }
    table_[chain_of(digits)] = {kOwnChain, std::move(rules)};
  }

 private:
  [[nodiscard]] std::string chain_of(const std::string& digits) const {
    return digits.empty() ? name_ : name_ + "-" + digits;
  }

  RuleTable& table_;
  const std::string name_;
  const char* flag_;
};

}  // namespace

void add_link_tree(RuleTable& table, const std::string& name, LinkSide side,
                   std::span<const LinkRule> rules) {
  std::vector<Entry> entries;
  entries.reserve(rules.size());
  for (const auto& rule : rules) entries.emplace_back(std::to_string(rule.id), &rule.rule);
  std::sort(entries.begin(), entries.end());
  Tree(table, name, side).add("", entries);
}

}  // namespace panal::netconfine
