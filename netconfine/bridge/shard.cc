#include "netconfine/bridge/shard.h"

#include <fmt/format.h>

#include <charconv>
#include <set>
#include <string_view>

namespace panal::netconfine {
namespace {

constexpr std::string_view kBridgePrefix = "pnb";
constexpr std::string_view kTrunkPrefix = "pnt";
constexpr std::string_view kHubTrunkPrefix = "pnu";
constexpr std::string_view kMemberPrefix = "png";

std::string shard_name(std::string_view prefix, const Shard& shard) {
  return fmt::format("{}{:08x}-{}", prefix, shard.group, shard.number);
}

/// The whole of `text` as a number; nothing when it is none.
template <typename Number>
std::optional<Number> whole_number(std::string_view text, int base) {
  Number value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, value, base);
  if (code != std::errc{} || stop != end) return std::nullopt;
  return value;
}

std::optional<Shard> shard_of(std::string_view prefix, const std::string& name) {
  constexpr std::size_t kDigits = 8;
  const std::string_view text = name;
  const std::size_t dash = prefix.size() + kDigits;
  if (!text.starts_with(prefix) || text.size() <= dash || text[dash] != '-') return std::nullopt;
  const auto group = whole_number<std::uint32_t>(text.substr(prefix.size(), kDigits), 16);
  const auto number = whole_number<unsigned>(text.substr(dash + 1), 10);
  if (!group || *group == 0 || !number || *number >= kMostShards) return std::nullopt;
  const Shard shard{*group, *number};
  if (shard_name(prefix, shard) != name) return std::nullopt;
  return shard;
}

}  // namespace

std::string bridge_name(const Shard& shard) { return shard_name(kBridgePrefix, shard); }
std::string trunk_name(const Shard& shard) { return shard_name(kTrunkPrefix, shard); }
std::string hub_trunk_name(const Shard& shard) { return shard_name(kHubTrunkPrefix, shard); }
std::string member_name(DesktopId id) { return fmt::format("{}{}", kMemberPrefix, id); }

std::optional<Shard> shard_of_bridge(const std::string& name) {
  return shard_of(kBridgePrefix, name);
}
std::optional<Shard> shard_of_trunk(const std::string& name) {
  return shard_of(kTrunkPrefix, name);
}
std::optional<Shard> shard_of_hub_trunk(const std::string& name) {
  return shard_of(kHubTrunkPrefix, name);
}

DesktopId id_of_member(const std::string& name) {
  const std::string_view text = name;
  if (!text.starts_with(kMemberPrefix)) return 0;
  const auto id = whole_number<DesktopId>(text.substr(kMemberPrefix.size()), 10);
  if (!id || *id < 1 || member_name(*id) != name) return 0;
  return *id;
}

Occupancy occupancy(std::span<const FoundLink> links) {
  Occupancy members;
  std::map<int, Shard> bridges;  // by index
  for (const FoundLink& link : links) {
    const auto shard = shard_of_bridge(link.name);
    if (!shard) continue;
    bridges[link.index] = *shard;
    members[*shard] = 0;
  }
  for (const FoundLink& link : links) {
    if (id_of_member(link.name) == 0) continue;
    const auto bridge = bridges.find(link.master);
    if (bridge != bridges.end()) ++members[bridge->second];
  }
  return members;
}

Result<Shard> with_room(const Occupancy& members, std::uint32_t group, unsigned most) {
  for (unsigned number = 0; number < kMostShards; ++number) {
    const auto found = members.find({group, number});
    if (found == members.end() || found->second < most) return Shard{group, number};
  }
  return fail(ENOSPC, fmt::format("group {:08x}: its {} bridges have {} desktops each, and take no "
                                  "more; make two groups of it",
                                  group, kMostShards, most));
}

std::vector<std::string> unused_links(std::span<const FoundLink> links) {
  const Occupancy members = occupancy(links);
  std::set<std::uint32_t> in_use;  // groups
  for (const auto& [shard, count] : members)
    if (count > 0) in_use.insert(shard.group);
  const auto needed = [&](const Shard& shard) {
    const auto found = members.find(shard);
    if (found == members.end()) return false;
    return found->second > 0 || (shard.number == 0 && in_use.contains(shard.group));
  };
  std::vector<std::string> trunks, bridges;
  for (const FoundLink& link : links) {
    // One end takes the other along.
    if (const auto shard = shard_of_trunk(link.name); shard && !needed(*shard))
      trunks.push_back(link.name);
    if (const auto shard = shard_of_bridge(link.name); shard && !needed(*shard))
      bridges.push_back(link.name);
  }
  trunks.insert(trunks.end(), bridges.begin(), bridges.end());
  return trunks;
}

}  // namespace panal::netconfine
