#pragma once

#include <cstdint>
#include <string_view>

#include "engine/base/result.h"
#include "storage/compose/backend.h"

namespace panal::storage {

/// Of a desktop whose spec has no limits.
struct TmpfsOptions {
  std::uint64_t bytes = std::uint64_t{256} << 20U;
  std::uint64_t inodes = 65'536;
};

/// Overlays whose upper is a tmpfs of the desktop's own, for desktops of which nothing is to touch
/// a disk: lower as with OverlayBackend. What is written is anonymous-like memory, charged to
/// whoever wrote it and limited in bytes and inodes; it can be swapped out. The tmpfs belongs to
/// the overlay alone (nothing else has it mounted) and goes with it: a crash or a reboot leaves
/// nothing on disk.
///
/// The tmpfs holds host ids, not canonical ones: it needs no idmapped mount (which tmpfs has from
/// Linux 6.3 on), and outlives no range.
class TmpfsBackend final : public ComposeBackend {
 public:
  explicit TmpfsBackend(TmpfsOptions options = {}) : options_(options) {}

  [[nodiscard]] std::string_view name() const override { return "tmpfs"; }
  [[nodiscard]] BackendTraits traits() const override;
  [[nodiscard]] Result<void> provision(const RootSpec& spec) override;
  [[nodiscard]] Result<void> destroy(const RootSpec& spec) override;
  /// As the file system counts: no walk. Nothing mounted is no usage.
  [[nodiscard]] Result<RootUsage> usage(const RootSpec& spec) override;
  [[nodiscard]] Result<Recovered> recover(const RecoverScope& scope) override;
  [[nodiscard]] Result<void> erase(const RootSpec& spec) override { return destroy(spec); }

 private:
  TmpfsOptions options_;
};

}  // namespace panal::storage
