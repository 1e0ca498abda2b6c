#include "netconfine/bridge/groups.h"

#include <linux/netlink.h>

#include <algorithm>
#include <utility>

#include "netconfine/netlink/enter.h"
#include "netconfine/policy/group_number.h"

namespace panal::netconfine {
namespace {

using GroupsByPolicy = std::map<std::uint32_t, std::uint32_t>;

GroupsByPolicy bridged_in(const Ruleset& rules) {
  GroupsByPolicy groups;
  for (const CompiledPolicy& policy : rules.policies)
    if (policy.bridged) groups[policy.id] = group_number(policy);
  return groups;
}

std::uint32_t group_in(const GroupsByPolicy& groups, const Sender& sender) {
  const auto found = groups.find(sender.policy);
  return found != groups.end() ? found->second : 0;
}

bool is_of_a_group(const std::string& link) {
  return id_of_member(link) != 0 || shard_of_bridge(link) || shard_of_trunk(link) ||
         shard_of_hub_trunk(link);
}

}  // namespace

Result<void> Groups::open_for(const Ruleset& rules) {
  if (bridges_) return {};
  const bool wanted = !bridged_in(rules).empty();
  if (!wanted && looked_) return {};
  const auto look = [&]() -> Result<void> {
    bool needed = wanted;
    if (!needed) {
      PANAL_ASSIGN(auto socket, NetlinkSocket::open(NETLINK_ROUTE));
      PANAL_ASSIGN(const auto links, all_links(socket));
      needed = std::any_of(links.begin(), links.end(),
                           [](const FoundLink& link) { return is_of_a_group(link.name); });
    }
    if (!needed) return {};
    PANAL_ASSIGN(auto opened, GroupBridges::open());
    bridges_.emplace(std::move(opened));
    left_ = true;
    return {};
  };
  PANAL_TRY(run_inside(space_, look));
  looked_ = true;
  return {};
}

std::uint32_t Groups::group_of(const Sender& sender) const { return group_in(groups_, sender); }

Result<void> Groups::leave_for(const Ruleset& next, std::span<const Sender> attached) {
  PANAL_TRY(open_for(next));
  if (!bridges_) return {};
  const auto groups = bridged_in(next);
  std::map<DesktopId, std::uint32_t> wanted;
  for (const Sender& sender : attached)
    wanted[id_of_link(sender.addresses.link)] = group_in(groups, sender);
  PANAL_ASSIGN(const auto ports, bridges_->ports());
  std::vector<DesktopId> leaving;
  for (const GroupPort& port : ports) {
    const auto one = wanted.find(port.id);
    const bool stays = one != wanted.end() && port.bridge && port.bridge->group == one->second;
    if (!stays) leaving.push_back(port.id);
  }
  return leave(leaving);
}

void Groups::load(const Ruleset& rules, std::span<const Sender> attached) {
  groups_ = bridged_in(rules);
  meant_.clear();
  for (const Sender& sender : attached) {
    const std::uint32_t group = group_of(sender);
    if (group != 0) meant_[id_of_link(sender.addresses.link)] = {sender.addresses, group};
  }
  std::erase_if(present_, [&](DesktopId id) { return !meant_.contains(id); });
  told_.clear();
  joined_ = catch_up();
}

Result<void> Groups::attach(const Sender& sender, const UniqueFd& desktop_namespace) {
  const std::uint32_t group = group_of(sender);
  if (group == 0) return {};
  const DesktopId id = id_of_link(sender.addresses.link);
  const GroupMember member{sender.addresses, group};
  PANAL_TRY(join(member, desktop_namespace));
  meant_[id] = member;
  present_.insert(id);
  return {};
}

void Groups::leave_before(const Sender& next) {
  const DesktopId id = id_of_link(next.addresses.link);
  const auto member = meant_.find(id);
  if (member == meant_.end() || member->second.group == group_of(next)) return;
  if (auto left = leave(std::span(&id, 1)); !left) tell(id, "network_group_leave", left.error());
}

void Groups::expect(const Sender& sender) {
  const DesktopId id = id_of_link(sender.addresses.link);
  told_.erase(id);
  const std::uint32_t group = group_of(sender);
  if (group != 0) {
    meant_[id] = {sender.addresses, group};
  } else {
    meant_.erase(id);
  }
}

Result<void> Groups::detach(std::span<const DesktopId> ids) {
  for (const DesktopId id : ids) {
    meant_.erase(id);
    told_.erase(id);
  }
  return leave(ids);
}

Result<std::vector<DesktopId>> Groups::ids() {
  std::vector<DesktopId> ids;
  if (!bridges_) return ids;
  PANAL_ASSIGN(const auto ports, bridges_->ports());
  for (const GroupPort& port : ports) ids.push_back(port.id);
  return ids;
}

Result<void> Groups::leave(std::span<const DesktopId> ids) {
  if (!bridges_ || ids.empty()) return {};
  PANAL_TRY(bridges_->leave(ids));
  for (const DesktopId id : ids) present_.erase(id);
  left_ = true;
  return {};
}

Result<void> Groups::join(const GroupMember& member, const UniqueFd& desktop_namespace) {
  if (!bridges_) return fail(ENOENT, member.addresses.link + ": no bridges are open");
  auto joined = bridges_->join(member.group, member.addresses, desktop_namespace, prefixes_);
  // A bridge may have been made for it, or the port that it had is gone.
  if (!joined) left_ = true;
  return joined;
}

Result<void> Groups::find_and_join(DesktopId id, const GroupMember& member) {
  if (!namespace_of_) return fail(ENOENT, "nobody knows its namespace");
  PANAL_ASSIGN(const auto inside, namespace_of_(id));
  PANAL_TRY(join(member, inside));
  present_.insert(id);
  told_.erase(id);
  return {};
}

void Groups::tell(DesktopId id, const char* event, const Error& error) {
  std::string why = error.message();
  std::string& last = told_[id];
  if (last == why) return;
  log_->error(event, {{"desktop", std::to_string(id)}, {"why", why}});
  last = std::move(why);
}

bool Groups::catch_up() {
  if (!bridges_) return false;
  bool joined_some = std::exchange(joined_, false);
  for (const auto& [id, member] : meant_) {
    if (present_.contains(id)) continue;
    auto joined = find_and_join(id, member);
    joined_some = joined_some || joined;
    // One that has just ended is detached soon.
    if (!joined && !joined.error().is_gone()) tell(id, "network_group_join", joined.error());
  }
  if (!left_) return joined_some;
  if (auto removed = bridges_->remove_empty(); !removed) {
    log_->warning("network_bridges_stay", {{"why", removed.error().message()}});
    return joined_some;
  }
  left_ = false;
  if (groups_.empty() && present_.empty()) bridges_.reset();
  return joined_some;
}

std::vector<GroupMember> Groups::present() const {
  std::vector<GroupMember> members;
  for (const auto& [id, member] : meant_)
    if (present_.contains(id)) members.push_back(member);
  return members;
}

Result<std::vector<Drift>> Groups::audit() {
  if (!bridges_) return std::vector<Drift>{};
  PANAL_ASSIGN(const auto found, bridges_->look());
  std::set<DesktopId> there;
  for (const BridgeLink& one : found.links) {
    if (const DesktopId id = id_of_link(one.link.name); id != 0) there.insert(id);
    if (const DesktopId id = id_of_member(one.link.name); id != 0) there.insert(id);
  }
  auto meant = present();
  // A desktop whose routed link is gone as well has ended, and taken both along.
  std::erase_if(meant, [&](const GroupMember& member) {
    return !there.contains(id_of_link(member.addresses.link));
  });
  return bridge_differences(meant, found);
}

Result<void> Groups::repair() {
  if (!bridges_) return {};
  PANAL_TRY(bridges_->repair(present()));
  left_ = true;
  // Whose port has gone by it, or was gone, joins anew; where it cannot, it is on none.
  PANAL_ASSIGN(const auto ports, bridges_->ports());
  std::set<DesktopId> whole;
  for (const GroupPort& port : ports)
    if (port.up && port.bridge) whole.insert(port.id);
  std::erase_if(present_, [&](DesktopId id) { return !whole.contains(id); });
  joined_ = catch_up();
  return {};
}

Result<void> Groups::leave_all() {
  if (!bridges_) return {};
  PANAL_ASSIGN(const auto all, ids());
  return leave(all);
}

}  // namespace panal::netconfine
