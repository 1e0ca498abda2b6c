#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "storage/compose/backend.h"

namespace panal::storage {

/// The two file systems in user space that unite trees.
enum class UnionProgram { kFuseOverlayfs, kUnionfsFuse };

/// Where the program is, by PATH. Errors: ENOENT with the package that has it.
[[nodiscard]] Result<std::string> find_union_program(UnionProgram which);

/// Roots made by fuse-overlayfs(1) or unionfs-fuse(8), to compare with. A daemon on the host for
/// each desktop; every file is read into the daemon's file's page cache and into the union's own,
/// so nothing is shared.
///
/// Ids: FUSE lets a desktop's processes in only when its mount belongs to an ancestor of their user
/// namespace, so it is the host's, and what goes over the wire are host ids. The daemon gets
/// idmapped views of the version and of the desktop's layer, which turn them into canonical ids on
/// disk, and runs as the desktop's root id with the few capabilities it needs (to make, own and
/// change files, and to mount), no new privileges, and nothing else of root. It lives as long as
/// its mount.
///
/// Below upper_dir: <name>-volatile or <name>-persistent with upper, work, the two views
/// (view-lower, view-layer), the daemon's words (log) and `lock`, which the daemon holds as long as
/// it lives. Three mounts a desktop.
class UnionFuseBackend final : public ComposeBackend {
 public:
  /// `program`: a path, for tests; empty: found by PATH at each provision().
  explicit UnionFuseBackend(UnionProgram which, std::string program = {})
      : which_(which), program_(std::move(program)) {}

  [[nodiscard]] std::string_view name() const override;
  [[nodiscard]] BackendTraits traits() const override;
  /// Also ENOENT without the program, ETIMEDOUT when it does not mount within 10 s, ECHILD with its
  /// words when it ended, EINVAL for paths with a comma, colon, equals sign or backslash.
  [[nodiscard]] Result<void> provision(const RootSpec& spec) override;
  [[nodiscard]] Result<void> destroy(const RootSpec& spec) override;
  [[nodiscard]] Result<RootUsage> usage(const RootSpec& spec) override;
  [[nodiscard]] Result<Recovered> recover(const RecoverScope& scope) override;
  [[nodiscard]] Result<void> erase(const RootSpec& spec) override;

 private:
  UnionProgram which_;
  std::string program_;
};

}  // namespace panal::storage
