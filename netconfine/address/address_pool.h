#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "engine/base/result.h"
#include "engine/model/ids.h"

namespace panal::netconfine {

using Mac = std::array<std::uint8_t, 6>;
using Ipv4 = std::array<std::uint8_t, 4>;   ///< network byte order
using Ipv6 = std::array<std::uint8_t, 16>;  ///< network byte order

/// The addresses one desktop owns; a pure function of its id and the plan.
struct Addresses {
  std::string link;  ///< name of the host end: "pnl7"
  Ipv4 ipv4{};
  Ipv6 ipv6{};
  Mac mac{};          ///< of eth0 in the desktop
  Mac gateway_mac{};  ///< of the host end
  [[nodiscard]] bool operator==(const Addresses&) const = default;
};

/// The desktops' prefixes. Desktop n has the n-th address of each; the network address and the
/// last one (IPv4's broadcast) are never given out.
class AddressPool {
 public:
  /// `subnet4`: CIDR with a prefix length of 8..30, `subnet6`: 32..96; host bits must be zero.
  /// Errors: EINVAL with a sentence that names the setting.
  [[nodiscard]] static Result<AddressPool> parse(const std::string& subnet4,
                                                 const std::string& subnet6);

  /// Errors: EINVAL for an id below 1, ENOSPC past the end of a prefix.
  [[nodiscard]] Result<Addresses> of(DesktopId id) const;
  /// Whose address this is, in either family; 0: no desktop's of this plan, or no address.
  [[nodiscard]] DesktopId id_of(const std::string& address) const;
  /// Desktops that can have one.
  [[nodiscard]] std::uint32_t count() const { return last4_; }

 private:
  std::uint32_t network4_ = 0;  ///< host byte order
  std::uint32_t last4_ = 0;     ///< highest n
  Ipv6 network6_{};
};

/// The host end's name: "pnl<id>".
[[nodiscard]] std::string link_name(DesktopId id);
/// The id in a host end's name; 0 when it is not one of ours (or not spelt as link_name does).
[[nodiscard]] DesktopId id_of_link(const std::string& name);

[[nodiscard]] std::string to_string(const Mac& mac);
[[nodiscard]] std::string to_string(const Ipv4& address);
[[nodiscard]] std::string to_string(const Ipv6& address);

}  // namespace panal::netconfine
