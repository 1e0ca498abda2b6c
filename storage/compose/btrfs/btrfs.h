#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "storage/compose/backend.h"
#include "storage/compose/btrfs/pool.h"

namespace panal::storage {

/// Roots that are writable btrfs snapshots of a template, the version's tree as a subvolume: made
/// at the version's first desktop (blocks are shared where images lie on the same file system).
/// Blocks on disk are shared, page cache is not: it belongs to inodes, and a snapshot has its own.
/// A persistent snapshot stays with the version it was made of.
///
/// In the pool: templates/<key>/{root,version}, volatile/<desktop> and persistent/<desktop>
/// (snapshots), aside/ (templates being made). A template appears whole, by a rename; recover()
/// deletes those of versions that are gone. Below upper_dir only a directory, btrfs-persistent,
/// that says where a persistent root is, with a file "made" in it once there was one.
class BtrfsBackend final : public ComposeBackend {
 public:
  explicit BtrfsBackend(BtrfsOptions options) : options_(std::move(options)) {}

  [[nodiscard]] std::string_view name() const override { return "btrfs"; }
  [[nodiscard]] BackendTraits traits() const override;
  /// Also EINVAL without a desktop's name, ENOENT where a persistent root was made and its snapshot
  /// is gone, and what open_pool() says.
  [[nodiscard]] Result<void> provision(const RootSpec& spec) override;
  [[nodiscard]] Result<void> destroy(const RootSpec& spec) override;
  /// What was written since the snapshot was made, as of the last commit (up to 30 s ago); not what
  /// is in subvolumes that the desktop made inside.
  [[nodiscard]] Result<RootUsage> usage(const RootSpec& spec) override;
  /// Of a pool on a loop file only what is there once it is mounted: it is, when the file is there.
  [[nodiscard]] Result<Recovered> recover(const RecoverScope& scope) override;
  [[nodiscard]] Result<void> erase(const RootSpec& spec) override;

 private:
  [[nodiscard]] std::string snapshot_of(const RootSpec& spec) const;
  [[nodiscard]] Result<std::string> ensure_template(const std::string& version_root);

  BtrfsOptions options_;
  std::mutex making_;  ///< of the pool and of templates: one at a time
};

}  // namespace panal::storage
