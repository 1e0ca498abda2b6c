#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/firewall/backend.h"
#include "netconfine/firewall/firewall.h"

namespace panal::netconfine {

/// A chain as iptables-save words it.
struct RuleChain {
  /// Of a chain of the kernel's: "DROP" or "ACCEPT". Of one of ours: "-".
  std::string policy = "-";
  std::vector<std::string> rules;  ///< what follows "-A CHAIN "
  [[nodiscard]] bool operator==(const RuleChain&) const = default;
};

using RuleTable = std::map<std::string, RuleChain>;   ///< by chain
using RuleTables = std::map<std::string, RuleTable>;  ///< by table: "filter", "nat", "raw"

inline constexpr const char* kOwnChain = "-";

/// Input of iptables-restore that makes the tables exactly these, each in one step; `filter`,
/// whose policy drops, comes first.
[[nodiscard]] std::string replacing_text(const RuleTables& tables);

/// Input of iptables-restore --noflush that makes `before` into `now`, each table in one step;
/// "" when they are equal. Chains that differ are written anew.
[[nodiscard]] std::string changing_text(const RuleTables& before, const RuleTables& now);

/// Tables with nothing in them that let everything pass: what is left of strangers' tables.
[[nodiscard]] RuleTables emptied(const RuleTables& tables);

/// What one rule has counted.
struct RuleCount {
  std::string table;
  std::string chain;
  std::string rule;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

struct SavedTables {
  RuleTables tables;
  std::vector<RuleCount> counts;  ///< of rules that have counters (iptables-save -c)
};

/// Output of iptables-save or ip6tables-save. Errors: EPROTO with the line's number.
[[nodiscard]] Result<SavedTables> parse_saved(std::string_view text);

/// Where the kernel (`found`) differs from what was `meant`. `family`: "ip", "ip6". Tables that
/// are not meant may be there as long as they change nothing.
[[nodiscard]] std::vector<Drift> compare_tables(const std::string& family, const RuleTables& meant,
                                                const RuleTables& found);

/// A rule that counts what it drops: the words behind its matches.
[[nodiscard]] std::string drop_because(std::string_view reason);
/// Sums of such rules, by reason.
void add_drops(const std::vector<RuleCount>& counts, std::map<std::string, DropCounter>& drops);

}  // namespace panal::netconfine
