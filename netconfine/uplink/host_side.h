#pragma once

#include <string>
#include <vector>

#include "netconfine/firewall/backend.h"
#include "netconfine/uplink/host_facts.h"
#include "netconfine/uplink/uplink_step.h"

namespace panal::netconfine {

/// What the uplink "veth" does to the host besides its link: one table, rules where others drop
/// what is forwarded, and the forwarding itself. Steps refer to it: it outlives them, and stays
/// where it is.
class HostSide {
 public:
  HostSide(UniqueFd space, NetlinkSocket socket, UplinkPlan plan)
      : space_(std::move(space)), socket_(std::move(socket)), plan_(std::move(plan)) {}
  HostSide(const HostSide&) = delete;
  HostSide& operator=(const HostSide&) = delete;

  [[nodiscard]] NetlinkSocket& socket() { return socket_; }
  [[nodiscard]] const UniqueFd& space() const { return space_; }

  /// Looks; the other calls go by what was seen last.
  [[nodiscard]] Result<HostFacts> look();
  /// What the host's link is to remember, as its alias. After the steps of plan_rules().
  [[nodiscard]] std::string alias() const { return to_string(mark_); }
  /// IPv6 goes out.
  [[nodiscard]] bool forwards6() const { return forwards6_; }

  /// What keeps everybody else out, before anything can pass.
  void plan_rules(const HostFacts& facts, std::vector<UplinkStep>& steps);
  /// What lets packets pass, once the link is there.
  void plan_forwarding(const HostFacts& facts, std::vector<UplinkStep>& steps);
  /// Link, rules, forwarding: whatever of them is found goes, and the host is as it was.
  [[nodiscard]] Result<void> take_away();
  [[nodiscard]] Result<void> audit(std::vector<Drift>& drifts);
  /// The device forwards for nobody, where it did not before this process, or one whose mark look()
  /// has found, had it do so: for when its table may be lost, which kept everybody but desktops
  /// out. The steps of plan_forwarding() undo it.
  [[nodiscard]] Result<void> stop_forwarding();

 private:
  [[nodiscard]] UplinkStep filter_step(const std::string& program, const char* verb,
                                       const Words& rule);
  [[nodiscard]] Result<void> take_away_inside();
  [[nodiscard]] Result<void> audit_inside(std::vector<Drift>& drifts);

  UniqueFd space_;
  NetlinkSocket socket_;
  UplinkPlan plan_;
  bool forwards6_ = false;
  HostTableMark mark_;    ///< what the host was like before this process changed it
  std::string expected_;  ///< the table as nft(8) lists it after it was loaded
};

}  // namespace panal::netconfine
