#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/policy/compiled.h"

namespace panal::bench {

inline constexpr std::uint16_t kDnsPort = 53;
inline constexpr std::uint16_t kFilesPort = 445;
inline constexpr std::uint16_t kNobodysPort = 9;  ///< of no service

/// Policies with all there is to say but rates (docs/qos.md: a desktop with one takes another way):
/// twenty, each with a group, limits of connections, 18 services of IPv4 and IPv6 with ranges of
/// ports and exceptions, the internet among them, and one that may reach the desktops. All reach
/// "dns" (10.1.0.53, fd00:1::53, UDP and TCP 53) and "files" (10.2.0.0/16, fd00:2::/32, UDP and
/// TCP 445).
/// `other`: what an operator would exchange them for: one more service for all, a service less for
/// some, other limits. What the two have in common is allowed all the time.
[[nodiscard]] netconfine::PolicySet full_policies(bool other = false);

/// The same, compiled, with masquerading on kUplink.
[[nodiscard]] Result<netconfine::Ruleset> full_rules(bool other = false);

/// Which policy each of desktops 1..`desktops` has: in turn; the first one has the last one's, so
/// that the two are in one group. `others_move`: all but these two have the next one.
[[nodiscard]] std::map<DesktopId, std::uint32_t> full_holders(const netconfine::Ruleset& rules,
                                                              std::size_t desktops,
                                                              bool others_move = false);
/// The same as a firewall takes it, with desktops `desktops`+1..`desktops`+`more` behind, which
/// are in turn as well.
[[nodiscard]] Result<std::vector<netconfine::Sender>> full_senders(const netconfine::Ruleset& rules,
                                                                   std::size_t desktops,
                                                                   std::size_t more = 0);

}  // namespace panal::bench
