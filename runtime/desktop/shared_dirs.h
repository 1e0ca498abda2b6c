#pragma once

#include "runtime/desktop/backend.h"

namespace panal::desktop {

/// The kernel's: tmpfs of 64 KiB and 32 inodes, nosuid,nodev,noexec,nosymfollow.
class TmpfsSharedDirs final : public SharedDirs {
 public:
  [[nodiscard]] Result<void> make(const std::string& path, std::uint32_t owner,
                                  std::uint32_t group) override;
  [[nodiscard]] Result<void> remove(const std::string& path) override;
};

}  // namespace panal::desktop
