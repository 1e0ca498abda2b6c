#pragma once

#include <string>

#include "engine/base/result.h"
#include "netconfine/firewall/iptables/program.h"
#include "netconfine/firewall/iptables/rules.h"

namespace panal::netconfine {

/// Which of the kernel's ways iptables' programs use: tables of their own (ip_tables), or nftables
/// under the old words.
enum class IptablesVariant : std::uint8_t {
  kSystem,  ///< the one that `iptables` stands for on this machine
  kLegacy,
  kNft,
};

/// iptables' programs of one variant.
class Toolset {
 public:
  /// Errors: EPROTONOSUPPORT with a sentence where a program is missing.
  [[nodiscard]] static Result<Toolset> find(IptablesVariant variant);

  /// kLegacy or kNft.
  [[nodiscard]] IptablesVariant variant() const { return variant_; }
  /// "iptables v1.8.9 (legacy)".
  [[nodiscard]] const std::string& version() const { return version_; }
  /// Everything the kernel has of one family, with counters.
  [[nodiscard]] Result<SavedTables> save(IpFamily family) const;
  /// Feeds iptables-restore: tables in `text` become what it says and nothing else.
  [[nodiscard]] Result<void> replace(IpFamily family, const std::string& text) const;
  /// Feeds iptables-restore --noflush.
  [[nodiscard]] Result<void> change(IpFamily family, const std::string& text) const;

 private:
  struct Programs {
    std::string restore;
    std::string save;
  };
  [[nodiscard]] const Programs& of(IpFamily family) const {
    return family == IpFamily::kIpv4 ? ipv4_ : ipv6_;
  }
  [[nodiscard]] Result<void> restore(IpFamily family, std::vector<std::string> arguments,
                                     const std::string& text) const;

  IptablesVariant variant_ = IptablesVariant::kLegacy;
  std::string version_;
  Programs ipv4_;
  Programs ipv6_;
};

/// The variant in "iptables-restore v1.8.9 (nf_tables)"; programs before 1.8 name none and are
/// legacy.
[[nodiscard]] IptablesVariant variant_of_version(std::string_view version);

/// ARP on the links of Panal's namespace: dropped but on the uplink. Links of desktops do none
/// anyway (NOARP), so a machine without arptables, or with the one of old, goes without.
class ArpWall {
 public:
  [[nodiscard]] static ArpWall find();
  [[nodiscard]] Result<void> load(const std::string& uplink);
  [[nodiscard]] Result<void> empty();
  [[nodiscard]] Result<std::vector<Drift>> audit(const std::string& uplink) const;

 private:
  std::string restore_;  ///< "": none
  std::string save_;
};

/// What arptables is fed with.
[[nodiscard]] std::string arp_text(const std::string& uplink);

}  // namespace panal::netconfine
