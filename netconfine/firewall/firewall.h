#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/address/address_pool.h"

namespace panal::netconfine {

/// Packets (and bytes) dropped for one reason since the rules were loaded.
struct DropCounter {
  std::string reason;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

/// The rules of Panal's network namespace. Everything is dropped that is not allowed; a desktop
/// is allowed to *send* by its entry (link, MAC, address together), and adding one costs the same
/// whether there are 3 or 3,000. Not thread-safe.
class Firewall {
 public:
  virtual ~Firewall() = default;
  /// Replaces all rules by fresh ones that know exactly `senders`, in one step: at no moment is
  /// anything let through that neither the old nor the new rules allow. Counters begin at 0.
  [[nodiscard]] virtual Result<void> load(const std::vector<Addresses>& senders) = 0;
  /// A sender that is already there is not an error.
  [[nodiscard]] virtual Result<void> add(const Addresses& sender) = 0;
  /// One that is not there is not an error.
  [[nodiscard]] virtual Result<void> remove(const Addresses& sender) = 0;
  /// Links that have entries.
  [[nodiscard]] virtual Result<std::vector<std::string>> links() = 0;
  [[nodiscard]] virtual Result<std::vector<DropCounter>> drops() = 0;
};

/// nftables, for the network namespace of the calling thread. Errors: EPERM, EPROTONOSUPPORT
/// without nftables in the kernel.
[[nodiscard]] Result<std::unique_ptr<Firewall>> open_nftables();

}  // namespace panal::netconfine
