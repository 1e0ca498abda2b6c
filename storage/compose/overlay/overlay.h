#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "storage/compose/backend.h"

namespace panal::storage {

/// Of volatile uppers; persistent ones are always synced and always hold whole files.
struct OverlayOptions {
  /// Keep changed metadata apart from data: a chmod of a big file copies no data.
  bool metacopy = true;
  /// Never sync (mount option volatile). Once the disk below has refused a write, syncs of all such
  /// roots fail until they are mounted anew.
  bool unsynced = true;
};

/// Roots made with overlayfs: lower = an idmapped, read-only view of the image version (and of the
/// spec's layers over it), upper = an idmapped view of a directory of the desktop. So all files on
/// disk carry canonical ids, and all desktops of an image share inodes and page cache. Needs Linux
/// 5.19 (idmapped layers).
///
/// Below upper_dir: persistent/{upper,work} or volatile/{upper,work}, so that what a crash leaves
/// is known for what it is (storage/compose/layer/layer_dir.h).
///
/// Layers' xattrs are trusted.*, which no desktop can set (the mounter has CAP_SYS_ADMIN on the
/// host, so `userxattr` is not wanted). A persistent upper holds whole files, so that it means the
/// same over another version. https://docs.kernel.org/filesystems/overlayfs.html
class OverlayBackend final : public ComposeBackend {
 public:
  explicit OverlayBackend(OverlayOptions options = {}) : options_(options) {}

  [[nodiscard]] std::string_view name() const override { return "overlay"; }
  [[nodiscard]] BackendTraits traits() const override;
  [[nodiscard]] Result<void> provision(const RootSpec& spec) override;
  [[nodiscard]] Result<void> destroy(const RootSpec& spec) override;
  [[nodiscard]] Result<RootUsage> usage(const RootSpec& spec) override;
  [[nodiscard]] Result<Recovered> recover(const RecoverScope& scope) override;
  [[nodiscard]] Result<void> erase(const RootSpec& spec) override;

 private:
  OverlayOptions options_;
};

}  // namespace panal::storage
