#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/firewall/backend.h"
#include "netconfine/firewall/nft/messages.h"

struct nlmsghdr;

namespace panal::netconfine {

/// What a network namespace has of nftables, without what packets change: handles, counters,
/// elements of dynamic sets. Bytes as the kernel writes them.
struct NftSnapshot {
  /// Tables, chains, sets and counters, named as `nft` names them ("chain inet panal forward").
  /// A chain without a hook has an empty description.
  std::map<std::string, std::string> objects;
  std::map<std::string, std::vector<std::string>> rules;  ///< in their order, by chain
  std::map<NftSetId, std::set<NftElement>> elements;      ///< of our inet and bridge tables
  [[nodiscard]] bool operator==(const NftSnapshot&) const = default;
};

/// "table inet panal", "chain arp panal input".
[[nodiscard]] std::string nft_name(const char* kind, std::uint32_t family, const std::string& table,
                                   const std::string& name = {});

/// How a snapshot describes a table with these flags (NFT_TABLE_F_*), a base chain, and a set.
[[nodiscard]] std::string describe_table(std::uint32_t flags);
[[nodiscard]] std::string describe_hook(const NftBaseChain& chain);
[[nodiscard]] std::string describe_set(const NftSetShape& shape);

/// Puts one message of the answer to list_all() into `snapshot`. Other types are skipped.
/// Errors: EPROTO for a message that is cut short or lacks its name.
[[nodiscard]] Result<void> add_to_snapshot(const nlmsghdr* message, NftSnapshot& snapshot);

/// Sets of our tables that a snapshot says we fill ourselves.
[[nodiscard]] std::vector<NftSetId> static_sets(const NftSnapshot& snapshot);

/// Tables that are not ours, with their family.
[[nodiscard]] std::vector<std::pair<std::uint32_t, std::string>> foreign_tables(
    const NftSnapshot& snapshot);

/// Where `found` is not what was `meant`, by name; at most `limit` places, then one that says how
/// many more. `others`: whether tables that are not ours count.
[[nodiscard]] std::vector<Drift> differences(const NftSnapshot& meant, const NftSnapshot& found,
                                             bool others, std::size_t limit = 50);

}  // namespace panal::netconfine
