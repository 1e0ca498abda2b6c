#pragma once

// What the sources of HomeStore share. Not for others.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

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
  std::string half;       ///< while it is being made or deleted
  std::string snapshots;  ///< directory
  HomeLock lock;

  /// By what is on the disk. One in a file is there where its file is: a kill, while it was put in
  /// place, can have left it without its directory. Errors: ENOENT.
  [[nodiscard]] Result<QuotaKind> quota_kind() const;
  [[nodiscard]] Result<std::unique_ptr<Quota>> quota() const;
  /// Takes the lock for a while; what is_half_deleted() is about is then gone. Errors: EBUSY.
  [[nodiscard]] Result<Cleanup> hold(const HomeOwner& owner) const;
  /// Errors: EINVAL for what is no name for one.
  [[nodiscard]] Result<std::string> snapshot(const std::string& name) const;
};

/// Name of a home that is being made or deleted.
[[nodiscard]] std::string half_name(const std::string& home);
/// Name of the directory of its snapshots.
[[nodiscard]] std::string snapshots_name(const std::string& home);
/// A name of a half in a tenant's directory -> the home it was to be; empty: it is none.
[[nodiscard]] std::string home_of_half(std::string_view name);
/// A name of a file that is all of a home -> which; empty: it is none.
[[nodiscard]] std::string home_of_file(std::string_view name);
/// Half of a home that was being made or deleted: with all that any kind of quota leaves of one,
/// and the directory that is_half_deleted() is about.
[[nodiscard]] Result<void> remove_half(const std::string& tenant_dir, const std::string& home);
/// Takes a home out of its place, under the name of a half, of which there is none: from then on
/// nobody opens it, however much of it a deletion that is cut short leaves.
/// Errors: ENOENT; ENOSPC where a full disk has no room for the other name: then nothing changed.
[[nodiscard]] Result<void> set_aside(const std::string& tenant_dir, const std::string& home);
/// A home in a file that set_aside() was killed over: the file, which is the home, is out of its
/// place, and the empty directory, which alone would be taken for a home without a limit, is not.
[[nodiscard]] bool is_half_deleted(const std::string& tenant_dir, const std::string& home);

/// Deletes a home, or a snapshot of one, under its own name; it is closed. One in a file never
/// leaves, when that is killed, its directory alone, which would be taken for an empty one without
/// a limit: its file alone is a home still, and of a snapshot a half.
[[nodiscard]] Result<void> remove_in_place(const std::string& path, QuotaKind kind);

/// That a home, or a snapshot of one, is mounted nowhere, where that matters: one in a file must
/// not be mounted twice nor be deleted meanwhile; others can. Errors: EBUSY.
[[nodiscard]] Result<void> expect_closed(const std::string& path);

/// A name in a tenant's directory that is of a directory of snapshots -> their home; empty: it is
/// none.
[[nodiscard]] std::string home_of_snapshots(std::string_view name);
/// What a snapshot of a home in a file leaves in that directory when it is killed while it is made
/// or deleted: a file that is not whole, and one without its directory. By name. None: no error.
[[nodiscard]] Result<std::vector<std::string>> snapshot_halves(const std::string& snapshots);
/// Deletes them; who calls it has the home's lock.
[[nodiscard]] Result<void> remove_snapshot_halves(const std::string& snapshots);

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
