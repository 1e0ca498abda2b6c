#pragma once

#include <string_view>

#include "engine/base/result.h"
#include "storage/compose/backend.h"

namespace panal::storage {

/// A copy of the version's whole tree for each desktop: what others are compared with. Where files
/// of one file system can share blocks (btrfs, xfs) and `reflink` is set, its data is not copied;
/// page cache is never shared: it belongs to inodes. A persistent copy stays with the version it
/// was made of.
///
/// Below upper_dir: copy-volatile or copy-persistent, which is the root; an idmapped view of it is
/// mounted. It appears whole, by a rename.
class CopyBackend final : public ComposeBackend {
 public:
  explicit CopyBackend(bool reflink = true) : reflink_(reflink) {}

  [[nodiscard]] std::string_view name() const override { return "copy"; }
  [[nodiscard]] BackendTraits traits() const override;
  [[nodiscard]] Result<void> provision(const RootSpec& spec) override;
  [[nodiscard]] Result<void> destroy(const RootSpec& spec) override;
  /// All of the copy; shared blocks count as if they were not.
  [[nodiscard]] Result<RootUsage> usage(const RootSpec& spec) override;
  [[nodiscard]] Result<Recovered> recover(const RecoverScope& scope) override;
  [[nodiscard]] Result<void> erase(const RootSpec& spec) override;

 private:
  bool reflink_;
};

}  // namespace panal::storage
