#include "netconfine/qos/rates.h"

#include <linux/netlink.h>

#include <algorithm>

#include "netconfine/link/find_link.h"
#include "netconfine/netlink/enter.h"

namespace panal::netconfine {
namespace {

bool bounds(const NetLimits& limits) {
  return limits.send_bits_per_second != 0 || limits.receive_bits_per_second != 0;
}

bool bounds(const CompiledPolicy& policy) {
  return bounds(policy.limits) || bounds(policy.tenant_limits);
}

// What an earlier process may have left.
Result<bool> has_shapers() {
  PANAL_ASSIGN(auto socket, NetlinkSocket::open(NETLINK_ROUTE));
  for (const char* name : {kSendShaper, kReceiveShaper}) {
    const auto link = find_link(socket, name);
    if (link) return true;
    if (!link.error().is_gone()) return tl::make_unexpected(link.error());
  }
  return false;
}

}  // namespace

bool Rates::wanted(const Ruleset& rules) const {
  return line_ != LineLimits{} ||
         std::any_of(rules.policies.begin(), rules.policies.end(),
                     [](const CompiledPolicy& policy) { return bounds(policy); });
}

Result<void> Rates::open() {
  if (qos_) return {};
  return run_inside(space_, [&]() -> Result<void> {
    PANAL_ASSIGN(qos_, Qos::open(line_));
    return {};
  });
}

Result<void> Rates::prepare(const Ruleset& rules) {
  if (wanted(rules)) return open();
  return {};
}

ShapedDesktop Rates::shape_of(const Sender& sender) const {
  const auto session = sessions_.find(sender.addresses.link);
  const auto now = session != sessions_.end() ? session->second : SessionClass::kActive;
  const auto policy = bounded_.find(sender.policy);
  ShapedDesktop desktop;  // free, but for the line
  if (policy != bounded_.end()) {
    desktop = shaped(sender.addresses, policy->second, now);
  } else {
    desktop.addresses = sender.addresses;
    desktop.session = now;
  }
  desktop.bridged = bridged_.contains(sender.policy);
  return desktop;
}

Result<void> Rates::load(const Ruleset& rules, std::span<const Sender> attached) {
  bounded_.clear();
  bridged_.clear();
  for (const auto& policy : rules.policies) {
    if (policy.bridged) bridged_.insert(policy.id);
    if (bounds(policy)) bounded_[policy.id] = policy;
  }
  attached_.clear();
  for (const auto& sender : attached) attached_[sender.addresses.link] = sender;
  if (!qos_ && !wanted(rules)) {
    bool left = false;
    PANAL_TRY(run_inside(space_, [&]() -> Result<void> {
      PANAL_ASSIGN(left, has_shapers());
      return {};
    }));
    if (!left) return {};
  }
  PANAL_TRY(open());
  std::vector<ShapedDesktop> desktops;
  for (const auto& sender : attached) desktops.push_back(shape_of(sender));
  return qos_->load(desktops);
}

Result<void> Rates::put(const Sender& sender) {
  attached_[sender.addresses.link] = sender;
  if (!qos_) return {};
  const auto desktop = shape_of(sender);
  return qos_->put(std::span(&desktop, 1));
}

Result<void> Rates::remove(std::span<const Addresses> desktops) {
  for (const auto& addresses : desktops) {
    attached_.erase(addresses.link);
    sessions_.erase(addresses.link);
  }
  if (!qos_) return {};
  return qos_->remove(desktops);
}

Result<void> Rates::set_session(const Addresses& addresses, SessionClass session) {
  const auto was = sessions_.find(addresses.link);
  if ((was != sessions_.end() ? was->second : SessionClass::kActive) == session) return {};
  sessions_[addresses.link] = session;
  const auto attached = attached_.find(addresses.link);
  if (attached == attached_.end() || !qos_) return {};
  return put(Sender(attached->second));
}

Result<std::vector<Drift>> Rates::repair() {
  if (!qos_) return std::vector<Drift>{};
  return qos_->repair();
}

Result<std::vector<ShapeUse>> Rates::use() {
  if (!qos_) return std::vector<ShapeUse>{};
  return qos_->use();
}

}  // namespace panal::netconfine
