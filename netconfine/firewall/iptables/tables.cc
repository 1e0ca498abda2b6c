#include "netconfine/firewall/iptables/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "engine/base/log.h"

namespace panal::netconfine {
namespace {

constexpr std::string_view kReasonMark = "-m comment --comment panal-";
constexpr std::size_t kMostRuleBytes = 300;

std::string declaration(const std::string& chain, const RuleChain& content) {
  return fmt::format(":{} {} [0:0]\n", chain, content.policy);
}

void append_rules(std::string& text, const std::string& chain, const RuleChain& content) {
  for (const auto& rule : content.rules) text += fmt::format("-A {} {}\n", chain, rule);
}

std::string table_changes(const std::string& name, const RuleTable& before, const RuleTable& now) {
  std::string declared, flushed, rules, deleted;
  for (const auto& [chain, content] : now) {
    const auto was = before.find(chain);
    if (was != before.end() && was->second == content) continue;
    // Declaring empties a chain of ours; of the kernel's own it only sets the policy.
    declared += declaration(chain, content);
    if (content.policy != kOwnChain) flushed += fmt::format("-F {}\n", chain);
    append_rules(rules, chain, content);
  }
  for (const auto& [chain, content] : before) {
    if (now.contains(chain) || content.policy != kOwnChain) continue;
    flushed += fmt::format("-F {}\n", chain);
    deleted += fmt::format("-X {}\n", chain);
  }
  if (declared.empty() && flushed.empty()) return {};
  return fmt::format("*{}\n{}{}{}{}COMMIT\n", name, declared, flushed, rules, deleted);
}

/// Takes the text up to `mark` (or all of it) away from the front.
std::string_view take_until(std::string_view& text, char mark) {
  const auto end = text.find(mark);
  const auto taken = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return taken;
}

bool parse_number(std::string_view text, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

/// "[12:3456]".
bool parse_counters(std::string_view text, RuleCount& count) {
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return false;
  text = text.substr(1, text.size() - 2);
  const auto packets = take_until(text, ':');
  return parse_number(packets, count.packets) && parse_number(text, count.bytes);
}

/// Reads one line at a time; `false` for one that is none of iptables-save's.
class Reader {
 public:
  bool line(std::string_view line) {
    if (line.empty() || line.front() == '#') return true;
    if (line.front() == '*') return begin(line.substr(1));
    if (table_ == nullptr) return false;
    if (line == "COMMIT") {
      table_ = nullptr;
      return true;
    }
    if (line.front() == ':') return chain(line.substr(1));
    if (line.front() == '[') {
      RuleCount count;
      if (!parse_counters(take_until(line, ' '), count)) return false;
      return rule(line, &count);
    }
    return rule(line, nullptr);
  }
  [[nodiscard]] bool between_tables() const { return table_ == nullptr; }
  SavedTables take() { return std::move(saved_); }

 private:
  bool begin(std::string_view name) {
    if (table_ != nullptr || name.empty() || name.find(' ') != std::string_view::npos) return false;
    name_ = name;
    const auto [at, added] = saved_.tables.try_emplace(name_);
    table_ = &at->second;
    return added;
  }
  bool chain(std::string_view text) {
    const auto name = take_until(text, ' ');
    const auto policy = take_until(text, ' ');
    if (name.empty() || policy.empty()) return false;
    RuleCount ignored;
    if (!text.empty() && !parse_counters(text, ignored)) return false;
    return table_->try_emplace(std::string(name), RuleChain{std::string(policy), {}}).second;
  }
  bool rule(std::string_view text, RuleCount* count) {
    if (!text.starts_with("-A ")) return false;
    text.remove_prefix(3);
    const std::string chain(take_until(text, ' '));
    const auto found = table_->find(chain);
    if (found == table_->end()) return false;
    found->second.rules.emplace_back(text);
    if (count != nullptr) {
      count->table = name_;
      count->chain = chain;
      count->rule = text;
      saved_.counts.push_back(std::move(*count));
    }
    return true;
  }

  SavedTables saved_;
  std::string name_;
  RuleTable* table_ = nullptr;
};

/// A chain's rules as the kernel has them against ours: what is missing, what is too much.
void compare_rules(const std::string& where, const RuleChain& meant, const RuleChain& found,
                   std::vector<Drift>& drifts) {
  if (meant.rules == found.rules) return;
  std::multiset<std::string> missing(meant.rules.begin(), meant.rules.end());
  std::vector<std::string> strange;
  for (const auto& rule : found.rules) {
    if (const auto at = missing.find(rule); at != missing.end()) {
      missing.erase(at);
    } else {
      strange.push_back(rule);
    }
  }
  if (missing.empty() && strange.empty()) drifts.push_back({where, "has its rules out of order"});
  for (const auto& rule : missing)
    drifts.push_back({where, "misses \"" + printable(rule, kMostRuleBytes) + "\""});
  for (const auto& rule : strange)
    drifts.push_back(
        {where, "has a rule that is not ours: \"" + printable(rule, kMostRuleBytes) + "\""});
}

void compare_table(const std::string& where, const RuleTable& meant, const RuleTable& found,
                   std::vector<Drift>& drifts) {
  for (const auto& [name, chain] : meant) {
    const std::string here = where + " " + name;
    const auto at = found.find(name);
    if (at == found.end()) {
      drifts.push_back({here, "is missing"});
      continue;
    }
    if (at->second.policy != chain.policy)
      drifts.push_back(
          {here, fmt::format("has the policy {}, not {}", at->second.policy, chain.policy)});
    compare_rules(here, chain, at->second, drifts);
  }
  for (const auto& [name, chain] : found) {
    if (meant.contains(name)) continue;
    if (chain.policy == "ACCEPT" && chain.rules.empty()) continue;  // the kernel's, and idle
    drifts.push_back({where + " " + printable(name, 64), "is not ours"});
  }
}

}  // namespace

std::string replacing_text(const RuleTables& tables) {
  std::string text;
  for (const auto& [name, table] : tables) {
    text += fmt::format("*{}\n", name);
    for (const auto& [chain, content] : table) text += declaration(chain, content);
    for (const auto& [chain, content] : table) append_rules(text, chain, content);
    text += "COMMIT\n";
  }
  return text;
}

std::string changing_text(const RuleTables& before, const RuleTables& now) {
  static const RuleTable kNothing;
  std::string text;
  for (const auto& [name, table] : now) {
    const auto was = before.find(name);
    text += table_changes(name, was == before.end() ? kNothing : was->second, table);
  }
  return text;
}

RuleTables emptied(const RuleTables& tables) {
  RuleTables result;
  for (const auto& [name, table] : tables) {
    RuleTable& empty = result[name];
    for (const auto& [chain, content] : table)
      if (content.policy != kOwnChain) empty[chain] = {"ACCEPT", {}};
  }
  return result;
}

Result<SavedTables> parse_saved(std::string_view text) {
  Reader reader;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto line = take_until(text, '\n');
    if (!reader.line(line))
      return fail(EPROTO, fmt::format("line {} of what iptables-save says: \"{}\"", number,
                                      printable(line, kMostRuleBytes)));
  }
  if (!reader.between_tables())
    return fail(EPROTO, "what iptables-save says ends in the middle of a table");
  return reader.take();
}

std::vector<Drift> compare_tables(const std::string& family, const RuleTables& meant,
                                  const RuleTables& found) {
  static const RuleTable kNothing;
  std::vector<Drift> drifts;
  for (const auto& [name, table] : meant) {
    const auto at = found.find(name);
    if (at == found.end()) {
      drifts.push_back({fmt::format("table {} {}", family, name), "is missing"});
      continue;
    }
    compare_table(fmt::format("chain {} {}", family, name), table, at->second, drifts);
  }
  for (const auto& [name, table] : found) {
    if (meant.contains(name)) continue;
    compare_table(fmt::format("chain {} {}", family, printable(name, 64)), kNothing, table, drifts);
  }
  return drifts;
}

std::string drop_because(std::string_view reason) {
  return fmt::format("{}{} -j DROP", kReasonMark, reason);
}

void add_drops(const std::vector<RuleCount>& counts, std::map<std::string, DropCounter>& drops) {
  for (const auto& count : counts) {
    const auto at = count.rule.find(kReasonMark);
    if (at == std::string::npos || !count.rule.ends_with(" -j DROP")) continue;
    auto rest = std::string_view(count.rule).substr(at + kReasonMark.size());
    const std::string reason(take_until(rest, ' '));
    DropCounter& sum = drops[reason];
    sum.reason = reason;
    sum.packets += count.packets;
    sum.bytes += count.bytes;
  }
}

}  // namespace panal::netconfine
