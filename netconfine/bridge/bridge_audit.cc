#include "netconfine/bridge/bridge_audit.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "netconfine/bridge/bridge_messages.h"
#include "netconfine/bridge/shard.h"

namespace panal::netconfine {
namespace {

class Comparison {
 public:
  Comparison(std::span<const GroupMember> meant, const BridgeState& found) : meant_(meant) {
    for (const BridgeLink& one : found.links) {
      by_name_[one.link.name] = &one;
      by_index_[one.link.index] = &one;
    }
    for (const PortMac& mac : found.macs) macs_.emplace(mac.port, mac);
  }

  std::vector<Drift> run() {
    std::map<DesktopId, const GroupMember*> members;
    for (const GroupMember& member : meant_) {
      const DesktopId id = id_of_link(member.addresses.link);
      members[id] = &member;
      look_at_member(member_name(id), member);
    }
    for (const auto& [name, one] : by_name_) {
      if (const DesktopId id = id_of_member(name); id != 0 && !members.contains(id))
        say(name, "links a desktop to a group that it is not in");
      if (id_of_link(name) != 0 && one->link.master != 0)
        say(name, fmt::format("is a port of {}; routed links are no bridge's", master_of(*one)));
      if (const auto shard = shard_of_bridge(name)) look_at_bridge(*shard, *one);
      if (is_a_port_of_ours(*one)) look_for_strangers(*one);
    }
    return std::move(drifts_);
  }

 private:
  void say(const std::string& link, std::string what) {
    drifts_.push_back({"link " + link, std::move(what)});
  }

  [[nodiscard]] const BridgeLink* named(const std::string& name) const {
    const auto found = by_name_.find(name);
    return found != by_name_.end() ? found->second : nullptr;
  }

  /// A name, for people.
  [[nodiscard]] std::string master_of(const BridgeLink& one) const {
    if (one.link.master == 0) return "no bridge";
    const auto found = by_index_.find(one.link.master);
    return found != by_index_.end() ? found->second->link.name : "a bridge that is not there";
  }

  [[nodiscard]] std::optional<Shard> shard_behind(const BridgeLink& one) const {
    return one.link.master == 0 ? std::nullopt : shard_of_bridge(master_of(one));
  }

  [[nodiscard]] bool is_a_port_of_ours(const BridgeLink& one) const {
    return shard_behind(one).has_value();
  }

  void compare(const std::string& link, std::span<const BridgeSetting> wanted,
               const std::map<std::uint16_t, std::uint32_t>& found) {
    for (const BridgeSetting& setting : wanted) {
      const auto value = found.find(setting.attribute);
      if (value == found.end()) {  // this kernel has it not
        if (setting.needed)
          say(link, fmt::format("has no setting {}: too old a kernel", setting.name));
        continue;
      }
      const bool bits = setting.bytes == 8;
      const std::uint32_t is = bits ? value->second & setting.value : value->second;
      if (is != setting.value)
        say(link, fmt::format("has {} {}, not {}", setting.name, is, setting.value));
    }
  }

  void look_at_member(const std::string& name, const GroupMember& member) {
    const BridgeLink* port = named(name);
    if (port == nullptr) return say(name, "is missing");
    const auto shard = shard_behind(*port);
    if (!shard || shard->group != member.group)
      return say(name, fmt::format("is a port of {}, not of its group's bridge", master_of(*port)));
    if (!port->link.up) say(name, "is down");
    compare(name, port_settings(PortKind::kMember), port->port);
    bool entered = false;
    const auto [first, last] = macs_.equal_range(port->link.index);
    for (auto at = first; at != last; ++at) {
      const PortMac& one = at->second;
      if (one.mac == member.addresses.mac && one.entered)
        entered = true;
      else
        say(name, fmt::format("may send as {}", to_string(one.mac)));
    }
    if (!entered) say(name, fmt::format("misses the entry of {}", to_string(member.addresses.mac)));
  }

  void look_at_bridge(const Shard& shard, const BridgeLink& bridge) {
    const std::string& name = bridge.link.name;
    if (bridge.link.kind != "bridge") return say(name, "is no bridge");
    if (!bridge.link.up) say(name, "is down");
    compare(name, bridge_settings(), bridge.bridge);
    if (shard.number == 0) return;
    const std::string hub = bridge_name({shard.group, 0});
    if (named(hub) == nullptr) say(hub, "is missing");
    look_at_trunk(trunk_name(shard), name);
    look_at_trunk(hub_trunk_name(shard), hub);
  }

  void look_at_trunk(const std::string& name, const std::string& bridge) {
    const BridgeLink* end = named(name);
    if (end == nullptr) return say(name, "is missing");
    if (master_of(*end) != bridge)
      return say(name, fmt::format("is a port of {}, not of {}", master_of(*end), bridge));
    if (!end->link.up) say(name, "is down");
    compare(name, port_settings(PortKind::kTrunk), end->port);
  }

  /// A port of one of our bridges is a member, which is looked at as such, or an end of a trunk
  /// that belongs there.
  void look_for_strangers(const BridgeLink& port) {
    const std::string& name = port.link.name;
    if (id_of_member(name) != 0 || id_of_link(name) != 0) return;
    const std::string master = master_of(port);
    if (const auto shard = shard_of_trunk(name); shard && shard->number != 0) {
      if (named(bridge_name(*shard)) != nullptr) return;  // looked at with its bridge
    }
    if (const auto shard = shard_of_hub_trunk(name); shard && shard->number != 0) {
      if (named(bridge_name(*shard)) != nullptr) return;
    }
    say(name, fmt::format("is a port of {} and nobody's who belongs there", master));
  }

  std::span<const GroupMember> meant_;
  std::map<std::string, const BridgeLink*> by_name_;
  std::map<int, const BridgeLink*> by_index_;
  std::multimap<int, PortMac> macs_;  ///< by port
  std::vector<Drift> drifts_;
};

}  // namespace

std::vector<Drift> bridge_differences(std::span<const GroupMember> meant,
                                      const BridgeState& found) {
  return Comparison(meant, found).run();
}

}  // namespace panal::netconfine
