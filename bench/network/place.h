#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "netconfine/address/address_pool.h"

namespace panal::bench {

// Network namespaces with links between them, for measurements of the desktops' network.

/// A fresh one, empty. It lives as long as the descriptor, or something in it.
[[nodiscard]] Result<UniqueFd> new_network();

/// Runs `ip -batch` with these lines in a namespace. Errors: what it complains about.
[[nodiscard]] Result<void> ip_lines(const UniqueFd& network, const std::string& lines);
/// Runs a program of the host's in a namespace, and gives its output. Errors: EPROTONOSUPPORT where
/// there is none; those of netconfine::output_of(): a status other than 0, with its words.
[[nodiscard]] Result<std::string> run_there(const UniqueFd& network, const std::string& name,
                                            const std::vector<std::string>& arguments,
                                            const std::string& input = {});

/// The node's end of the way out.
inline constexpr const char* kUplink = "up0";

/// A namespace on a link to `node`, whose end is kUplink and leads everywhere. It has all
/// addresses of 10.1.0.0/16, 10.2.0.0/16, fd00:1::/32 and fd00:2::/32. Neighbours are permanent:
/// nobody asks for anybody while something is measured.
[[nodiscard]] Result<UniqueFd> connect_outside(const UniqueFd& node);

/// Links of desktops nobody measures: `all` say the node's ends, the other ends ("c0", "c1"...) are
/// together in one namespace, up and silent. The node's ends are left down.
[[nodiscard]] Result<UniqueFd> add_crowd(const UniqueFd& node,
                                         std::span<const netconfine::Addresses> all);

/// The plan of all measurements: 10.77.0.0/16 and fd77:70::/64.
inline constexpr const char* kSubnet4 = "10.77.0.0/16";
inline constexpr const char* kSubnet6 = "fd77:70::/64";
/// Of desktops `first`..`last`.
[[nodiscard]] Result<std::vector<netconfine::Addresses>> addresses_of(DesktopId first,
                                                                      DesktopId last);

}  // namespace panal::bench
