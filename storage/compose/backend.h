#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/model/ids.h"

namespace panal::storage {

/// What a desktop's root is to be made of. Ids on disk are canonical (0 is the desktop's root);
/// the mounts map them to `ids`.
struct RootSpec {
  std::string version_root;  ///< the image version's tree; never written
  std::string upper_dir;     ///< the desktop's writable layer lives below it; made if absent
  std::string mount_point;   ///< where the composed root appears; an existing directory
  IdRange ids;
  bool persistent = false;  ///< keep the upper at destroy()
};

/// Bytes and inodes a desktop's writable layer takes on disk.
struct RootUsage {
  std::uint64_t bytes = 0;
  std::uint64_t inodes = 0;
};

/// One way to compose a root. Calls for different desktops may run at the same time; the caller is
/// in Panal's mount namespace.
class ComposeBackend {
 public:
  virtual ~ComposeBackend() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;

  /// Mounts the root. A volatile upper left by a crash is discarded first. On error nothing is
  /// mounted. Errors: ENOENT without the version, ENOSPC, EPERM, EROFS (the kernel gave a
  /// read-only mount although a writable one was asked for).
  [[nodiscard]] virtual Result<void> provision(const RootSpec& spec) = 0;
  /// Unmounts the root and discards a volatile upper. Nothing mounted is not an error.
  [[nodiscard]] virtual Result<void> destroy(const RootSpec& spec) = 0;
  [[nodiscard]] virtual Result<RootUsage> usage(const RootSpec& spec) = 0;
};

}  // namespace panal::storage
