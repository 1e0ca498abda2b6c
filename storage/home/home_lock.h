#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace panal::storage {

/// Who has a home: "d7@node1"; a machine alone writes no node ("d7").
struct HomeOwner {
  std::string holder;  ///< a desktop's kernel name, or what is done: "backup-4711"
  std::string node;
  [[nodiscard]] bool operator==(const HomeOwner&) const = default;
  [[nodiscard]] std::string text() const { return node.empty() ? holder : holder + "@" + node; }
};
/// Errors: EPROTO for what text() never gives.
[[nodiscard]] Result<HomeOwner> parse_home_owner(std::string_view text);

/// The lock of a home: a file beside it that appears whole (written aside, then link(2), which is
/// one step on NFS too) and holds the owner.
class HomeLock {
 public:
  HomeLock(std::string tenant_dir, std::string home)
      : tenant_dir_(std::move(tenant_dir)), home_(std::move(home)) {}

  /// Takes it; that `owner` has it already is not an error (a restart of panald).
  /// `leased`: the database has given the home to `owner`, so that what a crash has left of this
  /// node, and `evicted` (an owner's text; empty: none), does not count.
  /// Errors: EBUSY "home alice is open in d3 on node n1".
  [[nodiscard]] Result<void> take(const HomeOwner& owner, bool leased = false,
                                  const std::string& evicted = {}) const;
  /// Whether `owner` has it.
  [[nodiscard]] Result<bool> held_by(const HomeOwner& owner) const;
  /// Another's lock, or none, is left alone.
  [[nodiscard]] Result<void> drop(const HomeOwner& owner) const;
  /// Errors: ENOENT: nobody.
  [[nodiscard]] Result<HomeOwner> owner() const;
  [[nodiscard]] std::string file() const;
  /// What the names of half-made locks of a node begin with.
  [[nodiscard]] static std::string half_prefix(const std::string& node);

 private:
  std::string tenant_dir_, home_;
};

/// Whether a hidden name beside homes is a lock, and of which home (empty: none).
[[nodiscard]] std::string locked_home(std::string_view file_name);

}  // namespace panal::storage
