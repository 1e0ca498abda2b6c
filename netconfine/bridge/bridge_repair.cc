#include "netconfine/bridge/bridge_repair.h"

#include <cerrno>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "netconfine/bridge/bridge_messages.h"
#include "netconfine/link/route_messages.h"

namespace panal::netconfine {
namespace {

class Repair {
 public:
  Repair(std::span<const GroupMember> meant, const BridgeState& found) : found_(found) {
    for (const GroupMember& member : meant) meant_[id_of_link(member.addresses.link)] = &member;
    for (const BridgeLink& one : found.links) {
      by_name_[one.link.name] = &one.link;
      by_index_[one.link.index] = &one.link;
    }
  }

  BridgeRepair run() {
    for (const BridgeLink& one : found_.links) look_at(one);
    for (const Shard& shard : std::set<Shard>(repair_.bridges)) {
      if (shard.number == 0) continue;
      repair_.bridges.insert({shard.group, 0});
      look_at_trunk(shard);
    }
    return std::move(repair_);
  }

 private:
  [[nodiscard]] const FoundLink* named(const std::string& name) const {
    const auto found = by_name_.find(name);
    return found != by_name_.end() ? found->second : nullptr;
  }
  [[nodiscard]] bool is_a_bridge(const Shard& shard) const {
    const FoundLink* bridge = named(bridge_name(shard));
    return bridge != nullptr && bridge->kind == "bridge";
  }
  [[nodiscard]] std::optional<Shard> shard_behind(const FoundLink& link) const {
    const auto master = by_index_.find(link.master);
    if (link.master == 0 || master == by_index_.end()) return std::nullopt;
    return shard_of_bridge(master->second->name);
  }

  void step(Message message, std::vector<int> fine) {
    repair_.steps.push_back({std::move(message), std::move(fine)});
  }
  void take_off(const FoundLink& link) { step(free_port(link.index), {ENODEV}); }
  void remove(const FoundLink& link) {
    // By name: another may have its index by now.
    if (auto message = delete_link(link.name)) step(std::move(*message), {ENODEV});
  }

  void look_at(const BridgeLink& one) {
    const FoundLink& link = one.link;
    if (const auto shard = shard_of_bridge(link.name)) {
      if (link.kind != "bridge") return remove(link);
      repair_.bridges.insert(*shard);
      look_at_bridge(*shard, one);
      return;
    }
    if (const DesktopId id = id_of_member(link.name); id != 0) return look_at_member(id, link);
    if (id_of_link(link.name) != 0) {
      if (link.master != 0) take_off(link);
      return;
    }
    auto trunk = shard_of_trunk(link.name);
    if (!trunk) trunk = shard_of_hub_trunk(link.name);
    if (trunk) {
      if (trunk->number == 0 || !is_a_bridge(*trunk)) remove(link);
      return;
    }
    if (shard_behind(link)) take_off(link);
  }

  /// What setting it up anew says nothing about.
  void look_at_bridge(const Shard& shard, const BridgeLink& bridge) {
    for (const BridgeSetting& setting : bridge_settings()) {
      const auto found = bridge.bridge.find(setting.attribute);
      if (!setting.only_compared || found == bridge.bridge.end()) continue;
      if (found->second != setting.value) step(set_bridge(shard, setting), {ENODEV});
    }
  }

  void look_at_member(DesktopId id, const FoundLink& link) {
    const auto member = meant_.find(id);
    const auto shard = shard_behind(link);
    const bool is_right =
        member != meant_.end() && shard && shard->group == member->second->group && link.up;
    if (!is_right) {
      repair_.leave.push_back(id);
      return;
    }
    const Mac& own = member->second->addresses.mac;
    step(set_port(link.index, PortKind::kMember), {ENODEV});
    for (const PortMac& one : found_.macs)
      if (one.port == link.index && one.mac != own)
        step(delete_mac(one.port, one.mac), {ENOENT, ENODEV});
    step(add_static_mac(link.index, own), {ENODEV});
  }

  /// Two ends of one veth, or none.
  void look_at_trunk(const Shard& shard) {
    const FoundLink* own = named(trunk_name(shard));
    const FoundLink* hubs = named(hub_trunk_name(shard));
    if (own == nullptr && hubs == nullptr) return;
    const auto leads_to = [](const FoundLink* from, const FoundLink* to) {
      return from->kind == "veth" && from->peer == to->index && from->peer_namespace == -1;
    };
    if (own != nullptr && hubs != nullptr && leads_to(own, hubs) && leads_to(hubs, own)) return;
    if (own != nullptr) remove(*own);
    if (hubs != nullptr) remove(*hubs);
  }

  const BridgeState& found_;
  std::map<DesktopId, const GroupMember*> meant_;
  std::map<std::string, const FoundLink*> by_name_;
  std::map<int, const FoundLink*> by_index_;
  BridgeRepair repair_;
};

}  // namespace

BridgeRepair bridge_repair(std::span<const GroupMember> meant, const BridgeState& found) {
  return Repair(meant, found).run();
}

}  // namespace panal::netconfine
