#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/network/place.h"
#include "bench/redteam/attacks/attack.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "netconfine/network.h"

namespace panal::bench {

/// A host with three desktops and an outside, in network namespaces of their own.
struct Site {
  static constexpr std::size_t kMe = 0, kVictim = 1, kThird = 2;

  UniqueFd host, outside;
  std::array<UniqueFd, 3> desktops;  ///< the attacker's, the victim's, the third's
  std::string link = "eth0";         ///< of each, by which everything is sent and heard
  bool leads_outside = true;         ///< that link
  std::array<Mac, 3> macs{};
  std::array<Ipv4, 3> addresses4{};
  std::array<Ipv6, 3> addresses6{};
  Ground ground;
  std::unique_ptr<netconfine::Network> network;  ///< where it is ours
  /// The way from the third to the victim is open, for all or for IPv6 alone.
  bool third_reaches4 = true, third_reaches6 = true;
  bool masks = false;  ///< addresses of desktops do not leave
  /// Attacker and victim may talk: what is honest must arrive.
  bool mates = false;
  /// Signs (attacks/attack.h) of an attack that are as they should be, as it is an honest mate's;
  /// null: of none.
  std::function<unsigned(const Attack&)> by_design;
};

/// What is under attack.
struct Target {
  std::string name;   ///< "nftables"
  std::string means;  ///< for people
  bool ours = false;  ///< nothing may pass; the others are there for comparison
  std::function<Result<Site>()> build;
};

/// Panal by nftables and by iptables, with and without masking, from one of Panal's bridges of
/// groups to another, between mates on one of them, then Panal's links with all rules taken away, a
/// bridge as lxc-net makes it, and a bridge with QVD's rules in their order. Building one fails
/// with EPROTONOSUPPORT, ENOENT or EPERM where the kernel, a program or the right to is missing.
[[nodiscard]] std::vector<Target> targets();

// Of site_*.cc.
[[nodiscard]] Result<Site> panal_site(const netconfine::OpenBackend& backend, bool masks);
[[nodiscard]] Result<Site> group_site();
[[nodiscard]] Result<Site> mate_site();
[[nodiscard]] Result<Site> bare_site();
[[nodiscard]] Result<Site> lxc_site();
[[nodiscard]] Result<Site> qvd_site();

// For them.
/// Commands of ip(8), without "ip", run inside.
[[nodiscard]] Result<void> ip_commands(const UniqueFd& network, const std::string& lines);
/// "/proc/<pid>/fd/<n>": what ip(8) takes for a namespace.
[[nodiscard]] std::string path_of(const UniqueFd& network);
/// Files below proc/sys/net of the namespace.
[[nodiscard]] Result<void> set_sysctls(
    const UniqueFd& network, const std::vector<std::pair<std::string, std::string>>& settings);
/// A program of the machine's, inside, with its input.
[[nodiscard]] Result<void> run_program_in(const UniqueFd& network, const std::string& program,
                                          const std::vector<std::string>& arguments,
                                          const std::string& input);
/// The uplink ("up0", "out0" outside), its router, and the host's other addresses.
[[nodiscard]] Result<void> add_outside(Site& site);

}  // namespace panal::bench
