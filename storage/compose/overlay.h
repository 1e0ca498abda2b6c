#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "storage/compose/backend.h"

namespace panal::storage {

/// Roots made with overlayfs: lower = an idmapped, read-only view of the image version, upper = an
/// idmapped view of a directory of the desktop. So all files on disk carry canonical ids, and all
/// desktops of an image share inodes and page cache. Needs Linux 5.19 (idmapped layers).
///
/// Below upper_dir: persistent/{upper,work} or volatile/{upper,work}, so that what a crash leaves
/// is known for what it is; trash-* is being deleted. upper_dir itself is 0700: an upper may hold
/// set-uid files whose owner is the host's root, seen from outside the mount.
///
/// Layers' xattrs are trusted.*, which no desktop can set (the mounter has CAP_SYS_ADMIN on the
/// host, so `userxattr` is not wanted). A volatile upper is never synced (mount option volatile,
/// Linux 5.10) and keeps changed metadata apart from data (metacopy); a persistent one holds whole
/// files, so that it means the same over another version.
/// https://docs.kernel.org/filesystems/overlayfs.html
class OverlayBackend final : public ComposeBackend {
 public:
  [[nodiscard]] std::string_view name() const override { return "overlay"; }
  [[nodiscard]] Result<void> provision(const RootSpec& spec) override;
  [[nodiscard]] Result<void> destroy(const RootSpec& spec) override;
  [[nodiscard]] Result<RootUsage> usage(const RootSpec& spec) override;

  /// Discards a volatile upper and half-deleted ones below `upper_dir`; for desktops that do not
  /// run, e.g. after a crash. Nothing there is not an error.
  [[nodiscard]] Result<void> recover(const std::string& upper_dir);
  /// Deletes all of a desktop's writable layer, persistent too.
  [[nodiscard]] Result<void> erase(const std::string& upper_dir);
};

}  // namespace panal::storage
