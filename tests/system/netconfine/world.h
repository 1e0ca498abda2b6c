#pragma once

#include <sched.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "netconfine/network.h"
#include "tests/system/netconfine/frames.h"
#include "tests/system/netconfine/sandbox.h"

namespace panal::netconfine::testing {

/// A backend that the common tests are run with.
struct BackendUnderTest {
  std::string name;
  OpenBackend open;
  // Shell commands, run in the node's namespace:
  std::string flush;     ///< takes all rules away
  std::string open_up;   ///< adds one that lets everything be forwarded
  std::string list;      ///< prints all there is, without counters
  bool bridges = false;  ///< groups may have bridges
};
/// Those this machine can run; `--gtest_filter=*nftables*` picks one.
std::vector<BackendUnderTest> backends();

/// Keeps the calling thread on one core: what it sends over veths is then dealt with in the order
/// it was sent, hop by hop.
class OneCore {
 public:
  OneCore();
  ~OneCore();
  OneCore(const OneCore&) = delete;
  OneCore& operator=(const OneCore&) = delete;

 private:
  cpu_set_t before_{};
};

/// Returns once all that this core was given before has been dealt with: packets of its own, over
/// a link nobody else knows, come after all others.
class Fence {
 public:
  Fence();
  void pass();

 private:
  UniqueFd here_ = new_network_namespace();
  UniqueFd there_ = new_network_namespace();
  std::unique_ptr<UdpEar> ear_;
};

inline const AddressPlan kWorldPlan{"10.77.0.0/16", "fd77:70::/64"};
inline constexpr const char* kUplink = "up0";

/// A node with desktops and an outside that every other address is in: what goes there is seen on
/// its one link, what comes from there is sent on it.
class World {
 public:
  /// Desktops 1..`count`, attached; nothing is allowed yet.
  World(const OpenBackend& open, DesktopId count);

  /// Compiles and loads; the policy of each desktop by name ("": none). Desktops are all of
  /// tenant "acme" but for those in `strangers`. The uplink is there with it.
  Result<void> apply(PolicySet set, const std::map<DesktopId, std::string>& has,
                     bool masquerade = false, const std::set<DesktopId>& strangers = {});

  [[nodiscard]] Network& network() { return *network_; }
  [[nodiscard]] const UniqueFd& panal() const { return panal_; }
  [[nodiscard]] const UniqueFd& outside() const { return outside_; }
  [[nodiscard]] const UniqueFd& inside(DesktopId id) const {
    return inside_[static_cast<std::size_t>(id - 1)];
  }
  [[nodiscard]] const Addresses& addresses(DesktopId id) const {
    return addresses_[static_cast<std::size_t>(id - 1)];
  }
  /// Of the uplink's end in the node.
  [[nodiscard]] const Mac& uplink_mac() const { return uplink_mac_; }
  /// As the rules in force know the desktop.
  [[nodiscard]] Sender sender(DesktopId id) const;
  [[nodiscard]] const Ruleset& rules() const { return rules_; }

  /// Sends a packet (from its IP header on) as desktop `id` does, or from outside (id 0).
  void send(DesktopId id, const Bytes& packet, bool v6);
  /// Packets (likewise) that have come in at a desktop, or outside, since the last call.
  std::vector<Bytes> arrived(DesktopId id);
  /// Waits until all that was sent has arrived or been dropped.
  void settle() { fence_.pass(); }
  /// Sends one and says whether it arrives at `to`.
  bool passes(DesktopId from, DesktopId to, const Bytes& packet, bool v6);

  std::uint64_t dropped(const std::string& reason);

 private:
  OneCore core_;  // first: sockets and threads come after
  Fence fence_;
  UniqueFd panal_ = new_network_namespace();
  UniqueFd outside_ = new_network_namespace();
  std::unique_ptr<Network> network_;
  std::vector<FakeDesktop> desktops_;
  std::vector<UniqueFd> inside_;
  std::vector<Addresses> addresses_;
  std::vector<Tap> taps_;  // [0] is outside
  Mac uplink_mac_{};
  Ruleset rules_;
  std::map<DesktopId, std::uint32_t> policies_;
};

/// A service of one kind of traffic.
Service service(const std::string& name, const std::vector<std::string>& peers,
                const std::vector<Traffic>& traffic = {},
                const std::vector<std::string>& except = {});
NetPolicy policy(const std::string& name, const std::vector<std::string>& reach,
                 const std::vector<std::string>& reached_by = {}, const std::string& group = "");
PolicySet policies(const std::vector<Service>& services, const std::vector<NetPolicy>& all);

}  // namespace panal::netconfine::testing
