#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "netconfine/qos/shape.h"

namespace panal::netconfine {

/// The classes of one direction that follow from limits and from who is there. Pure: it knows no
/// kernel. A desktop has a class only if something bounds it; the others' packets make no detour.
class ShapePlan {
 public:
  ShapePlan(Direction direction, const LineLimits& line);

  /// What was changed in `classes()` by a call: parents come before children.
  struct Changes {
    std::vector<ShapeClass> put;   ///< new ones and new values
    std::vector<ShapeClass> gone;  ///< children before parents
  };

  /// Adds a desktop, or gives one that is there new values. Costs the same however many there are,
  /// but for a tenant's changed rate, which concerns all of the tenant.
  /// Errors: ENOSPC as of desktop_minor(), or for more tenants than there are numbers (4,080).
  [[nodiscard]] Result<Changes> put(const ShapedDesktop& desktop);
  /// One that is not there changes nothing.
  [[nodiscard]] Changes remove(const Addresses& addresses);

  /// True when its packets go through the tree.
  [[nodiscard]] bool shapes(const Addresses& addresses) const;
  /// All classes by number, the root's and the strays' included.
  [[nodiscard]] const std::map<Minor, ShapeClass>& classes() const { return classes_; }
  [[nodiscard]] Direction direction() const { return direction_; }

 private:
  struct Tenant {
    Minor minor = 0;
    std::map<Minor, ShapedDesktop> desktops;
    /// Rates asked for, with their bursts: the first holds.
    std::multiset<std::pair<std::uint64_t, std::uint64_t>> rates;
  };

  [[nodiscard]] std::uint64_t rate_of(const NetLimits& limits) const;
  [[nodiscard]] Result<Minor> free_tenant_minor(const std::string& name) const;
  void take_out(Minor minor);
  /// Makes `classes_` right for a tenant ("" for none: `only` alone) and notes what that changed.
  void settle(const std::string& tenant, Minor only, Changes& changes);
  void set(const ShapeClass& shape, Changes& changes);
  void unset(Minor minor, Changes& changes);

  Direction direction_;
  std::uint64_t line_bits_per_second_ = 0;
  std::map<std::string, Tenant> tenants_;       ///< "" holds those of no tenant
  std::map<Minor, std::string> tenant_of_;      ///< by desktop
  std::map<Minor, std::string> tenant_minors_;  ///< taken numbers
  std::map<Minor, ShapeClass> classes_;
};

}  // namespace panal::netconfine
