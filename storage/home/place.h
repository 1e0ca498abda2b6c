#pragma once

// What the sources of HomeStore share. Not for others.

#include <memory>
#include <string>
#include <string_view>

#include "engine/base/cleanup.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "storage/home/home_lock.h"
#include "storage/home/home_store.h"
#include "storage/quota/quota.h"

namespace panal::storage {

/// Where the parts of one home are.
struct HomeStore::Place {
  std::string home, tenant_dir, path;
  std::string half;       ///< while it is being made
  std::string snapshots;  ///< directory
  HomeLock lock;

  /// By what is on the disk. Errors: ENOENT.
  [[nodiscard]] Result<std::unique_ptr<Quota>> quota() const;
  /// Takes the lock for a while. Errors: EBUSY.
  [[nodiscard]] Result<Cleanup> hold(const HomeOwner& owner) const;
  /// Errors: EINVAL for what is no name for one.
  [[nodiscard]] Result<std::string> snapshot(const std::string& name) const;
};

/// Name of a home that is being made.
[[nodiscard]] std::string half_name(const std::string& home);
/// Name of the directory of its snapshots.
[[nodiscard]] std::string snapshots_name(const std::string& home);
/// A name of a half in a tenant's directory -> the home it was to be; empty: it is none.
[[nodiscard]] std::string home_of_half(std::string_view name);
/// Half of a home that was being made: with all that any kind of quota leaves of one.
[[nodiscard]] Result<void> remove_half(const std::string& tenant_dir, const std::string& home);

[[nodiscard]] bool is_plain_home_name(const std::string& name);
[[nodiscard]] bool is_snapshot_name(std::string_view name);
/// There already is not an error.
[[nodiscard]] Result<void> make_home_directory(const std::string& path);
/// What this process does to a home, as a lock's holder: "recovery-4711".
[[nodiscard]] HomeOwner own_work(const std::string& what, const std::string& node);
/// Whether a holder is a command ("backup-4711") that still runs. Desktops are "d7".
[[nodiscard]] bool is_running_command(const std::string& holder);
/// The root directory of what Quota::open() gave, open for reading and for fchmod(2).
[[nodiscard]] Result<UniqueFd> root_of(const UniqueFd& tree, const std::string& path);

}  // namespace panal::storage
