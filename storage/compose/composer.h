#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "storage/compose/backend.h"
#include "storage/compose/btrfs/pool.h"
#include "storage/compose/lvm/lvm.h"
#include "storage/compose/overlay/overlay.h"
#include "storage/compose/tmpfs/tmpfs.h"

namespace panal::storage {

struct ComposerOptions {
  OverlayOptions overlay = {};
  TmpfsOptions tmpfs = {};
  BtrfsOptions btrfs = {};  ///< an empty pool: no btrfs
  LvmOptions lvm = {};      ///< an empty pool: no LVM
};

/// All backends of a node behind one: each root is made by the one its spec names. Which that is,
/// is decided before (choice.h) and kept with the desktop until it is destroyed.
class Composer final : public ComposeBackend {
 public:
  explicit Composer(ComposerOptions options = {});

  [[nodiscard]] std::string_view name() const override { return "composer"; }
  /// Of overlay, which is what a spec without a name gets.
  [[nodiscard]] BackendTraits traits() const override;
  /// Of overlay as well where it is not set up.
  [[nodiscard]] BackendTraits traits_for(const RootSpec& spec) const override;
  /// What roots of one backend are like; "" is overlay. None: it is not set up here.
  [[nodiscard]] std::optional<BackendTraits> traits_of(std::string_view backend) const;
  /// Also EINVAL for a backend that is not here.
  [[nodiscard]] Result<void> provision(const RootSpec& spec) override;
  /// A spec without a name (of a desktop nobody knows anything of): whatever backend's it is, what
  /// is mounted goes, and nothing persistent.
  [[nodiscard]] Result<void> destroy(const RootSpec& spec) override;
  [[nodiscard]] Result<RootUsage> usage(const RootSpec& spec) override;
  /// Of all backends, each tried whatever the others say; what one could not do at all is among the
  /// problems.
  [[nodiscard]] Result<Recovered> recover(const RecoverScope& scope) override;
  /// Of all backends: a desktop may have had several.
  [[nodiscard]] Result<void> erase(const RootSpec& spec) override;

 private:
  [[nodiscard]] Result<ComposeBackend*> find(std::string_view name) const;

  std::vector<std::unique_ptr<ComposeBackend>> backends_;
};

}  // namespace panal::storage
