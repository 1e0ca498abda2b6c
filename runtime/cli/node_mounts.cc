#include "runtime/cli/node_mounts.h"

#include "engine/base/file_tree.h"
#include "engine/kernel/namespaces.h"
#include "runtime/compose/root_choice.h"
#include "storage/compose/composer.h"
#include "storage/quota/quota.h"

namespace panal::cli {

void enter_mounts_of_node(const config::Config& config) {
  const auto mounts = kernel::open_namespace(config.mount_namespace_file());
  if (mounts) (void)kernel::enter_mount_namespace(*mounts);
}

Result<void> erase_desktop_dirs(const config::Config& config, DesktopId id) {
  enter_mounts_of_node(config);
  storage::RootSpec spec;
  spec.desktop = kernel_name(id);
  spec.upper_dir = config.desktop_state_dir(id) + "/upper";
  spec.mount_point = config.desktop_run_dir(id) + "/root";
  // A quota goes with the directory that it holds, so before the backends delete that.
  const auto kind = storage::quota_kind_of(spec.upper_dir);
  if (!kind && kind.error().code != ENOENT) return tl::make_unexpected(kind.error());
  if (kind && *kind != storage::QuotaKind::kNone)
    PANAL_TRY(storage::make_quota(*kind)->remove(spec.upper_dir));
  storage::Composer composer(compose::composer_options(config));
  PANAL_TRY(composer.erase(spec));
  return remove_tree(config.desktop_state_dir(id));
}

}  // namespace panal::cli
