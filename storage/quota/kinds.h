#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "storage/quota/quota.h"

// What the kinds of quota have in common, and how each is known for what it is. For this folder,
// storage/home and tests.
namespace panal::storage {

[[nodiscard]] std::unique_ptr<Quota> make_no_quota();
[[nodiscard]] std::unique_ptr<Quota> make_project_quota();
[[nodiscard]] std::unique_ptr<Quota> make_qgroup_quota();
[[nodiscard]] std::unique_ptr<Quota> make_loop_quota();

/// "/a/b" -> "/a" and "b". Paths here are absolute and do not end in a slash.
struct PathParts {
  std::string parent, name;
};
[[nodiscard]] PathParts split_path(const std::string& path);

/// Without following a link. Errors: ENOENT, ...
[[nodiscard]] Result<bool> is_directory(const std::string& path);
[[nodiscard]] Result<UniqueFd> open_directory(const std::string& path);
/// 0700. Errors: EEXIST, ...
[[nodiscard]] Result<void> make_private_directory(const std::string& path);
/// What was made, renamed or deleted beside `path` is on disk, and so is its name: no power failure
/// takes it back. Errors: those of open(2) and fsync(2).
[[nodiscard]] Result<void> sync_parent(const std::string& path);
/// The directory `fresh` becomes `path`, which is on disk then; returns whether `path` was there
/// (it is `fresh` then). Errors: EOPNOTSUPP where the file system cannot exchange names.
[[nodiscard]] Result<bool> exchange_directories(const std::string& fresh, const std::string& path);

/// Where the content of `path` is kept by kLoop: a hidden file beside it.
[[nodiscard]] std::string loop_file_of(const std::string& path);
[[nodiscard]] bool has_loop_file(const std::string& path);

/// The root of a btrfs subvolume.
[[nodiscard]] bool is_subvolume(int dir);
/// Makes a read-only snapshot of the subvolume `from` at `to`. Errors: EEXIST, EOPNOTSUPP.
[[nodiscard]] Result<void> snapshot_subvolume(const std::string& from, const std::string& to);
/// Deletes a subvolume (snapshots too). Nothing there is not an error.
[[nodiscard]] Result<void> remove_subvolume(const std::string& path);

/// Project id of a directory; 0: none, or the file system knows none.
[[nodiscard]] std::uint32_t project_of(int dir);

}  // namespace panal::storage
