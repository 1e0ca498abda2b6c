#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "storage/compose/backend.h"

namespace panal::storage {

/// The directories of a version that all desktops share, read-only: programs, and what package
/// managers and caches keep, which is of no use where nothing can be installed. Those that a
/// version does not have, or has as links (bin -> usr/bin), are left out.
[[nodiscard]] const std::vector<std::string>& bind_shared_dirs();

/// Roots made of bind mounts: a small directory of the desktop's own, with a copy of all that may
/// change (/etc, /var, /root ...), and over it the version's /usr and its like, shared and
/// read-only. Works on every kernel with idmapped mounts (5.12) and costs programs nothing: there
/// is no layer. Page cache and maps are shared as with overlayfs. But nothing can be installed,
/// images must do with that, and the copy is made at each provision().
///
/// Below upper_dir: bind-volatile or bind-persistent, the root's own part; it appears whole, by a
/// rename. A persistent one over another version has that version's /usr and its old /etc and /var.
class BindBackend final : public ComposeBackend {
 public:
  [[nodiscard]] std::string_view name() const override { return "bind"; }
  [[nodiscard]] BackendTraits traits() const override;
  /// Also EINVAL when a persistent root no longer has one of the shared directories as a directory.
  [[nodiscard]] Result<void> provision(const RootSpec& spec) override;
  [[nodiscard]] Result<void> destroy(const RootSpec& spec) override;
  /// Of the root's own part, with what was copied to it.
  [[nodiscard]] Result<RootUsage> usage(const RootSpec& spec) override;
  [[nodiscard]] Result<Recovered> recover(const RecoverScope& scope) override;
  [[nodiscard]] Result<void> erase(const RootSpec& spec) override;
};

}  // namespace panal::storage
