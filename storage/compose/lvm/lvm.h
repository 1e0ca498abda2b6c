#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "storage/compose/backend.h"

namespace panal::storage {

struct LvmOptions {
  std::string pool;  ///< an existing thin pool, "group/pool"
  /// Of the file system in each volume; thin, so only what is written takes room in the pool.
  std::uint64_t volume_bytes = std::uint64_t{8} << 30U;
};

/// Roots in thin LVM volumes: a template with an ext4 in which the version's tree is copied once, a
/// thin snapshot of it for each desktop. Blocks on disk are shared, page cache is not: to the
/// kernel each volume is another disk. Works by LVM's own programs, some 100 ms each. A persistent
/// volume stays with the version it was made of. Needs device-mapper, lvm2 and
/// thin-provisioning-tools.
///
/// Volumes in the pool's group: panal-t-<key> (template, tagged with the version's tree),
/// panal-new-<key> (half made), panal-v-<desktop> (volatile), panal-p-<desktop> (persistent). Below
/// upper_dir only a directory, lvm-persistent. Two mounts a desktop, one on the other.
class LvmBackend final : public ComposeBackend {
 public:
  explicit LvmBackend(LvmOptions options) : options_(std::move(options)) {}

  [[nodiscard]] std::string_view name() const override { return "lvm"; }
  [[nodiscard]] BackendTraits traits() const override;
  /// Also EINVAL without a desktop's name or a pool, ENOENT without LVM's programs.
  [[nodiscard]] Result<void> provision(const RootSpec& spec) override;
  [[nodiscard]] Result<void> destroy(const RootSpec& spec) override;
  /// All that its file system holds, the version's files too. Nothing mounted is no usage.
  [[nodiscard]] Result<RootUsage> usage(const RootSpec& spec) override;
  [[nodiscard]] Result<Recovered> recover(const RecoverScope& scope) override;
  [[nodiscard]] Result<void> erase(const RootSpec& spec) override;

 private:
  [[nodiscard]] Result<std::string> ensure_template(const std::string& version_root);
  [[nodiscard]] Result<void> make_template(const std::string& version_root,
                                           const std::string& volume);

  LvmOptions options_;
  std::mutex making_;
};

}  // namespace panal::storage
