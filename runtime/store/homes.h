#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/ids.h"

namespace panal::store {

/// Who has a home, anywhere in the farm: the one authority on it (docs/storage.md).
struct HomeLease {
  std::string tenant, home;
  std::string node;
  std::string holder;                ///< "d7", or what is done with it: "backup-4711"
  std::optional<DesktopId> desktop;  ///< none: an operator's command
  std::string taken, renewed;        ///< ISO 8601, by the database's clock
  std::string expires;               ///< ISO 8601; empty: never by itself
  bool expired = false;              ///< by the database's clock
};

struct HomeClaim {
  std::string tenant, home;
  std::string node, holder;
  std::optional<DesktopId> desktop;
  /// After which others may take it unless it is renewed; 0: never.
  std::chrono::seconds lasts{0};
};

struct HomeGrant {
  /// "d3@node2": who had it and let it expire; empty: nobody.
  std::string evicted;
};

/// The leases of homes. As Store: blocking, one thread at a time.
class HomeBook {
 public:
  virtual ~HomeBook() = default;
  /// Takes or renews a lease. Errors: EBUSY "home alice is open in d3 on node2, since ..."; ENOENT
  /// no such tenant.
  [[nodiscard]] virtual Result<HomeGrant> take(const HomeClaim& claim) = 0;
  /// Gives one back; another's is left alone, none is not an error.
  [[nodiscard]] virtual Result<void> give_back(const HomeClaim& claim) = 0;
  /// All that a desktop has on this node.
  [[nodiscard]] virtual Result<void> give_back_of(DesktopId desktop, const std::string& node) = 0;
  /// Renews what this node's desktops have; returns those that still have theirs.
  [[nodiscard]] virtual Result<std::set<DesktopId>> renew(const std::string& node,
                                                          std::chrono::seconds lasts) = 0;
  /// After a restart: gives back what desktops of this node have that are not in `live`.
  [[nodiscard]] virtual Result<void> recover(const std::string& node,
                                             const std::set<DesktopId>& live) = 0;
  [[nodiscard]] virtual Result<std::vector<HomeLease>> leases() = 0;
  /// Takes a lease away from whoever has it, audited: for an operator who knows that its node is
  /// dead. Errors: ENOENT nobody has it.
  [[nodiscard]] virtual Result<HomeLease> unlock(const std::string& tenant, const std::string& home,
                                                 const std::string& actor) = 0;
};

}  // namespace panal::store
