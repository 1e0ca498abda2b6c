#include "storage/compose/overlay/overlay.h"

#include <linux/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "engine/base/mount.h"
#include "engine/base/user_namespace.h"
#include "storage/compose/layer/layer_dir.h"
#include "storage/compose/overlay/mount_overlay.h"

namespace panal::storage {
namespace {

std::string overlay_layer(const RootSpec& spec) { return layer_name("overlay", spec.persistent); }

Result<void> make_overlay_dirs(const RootSpec& spec) {
  PANAL_TRY(make_upper_dir(spec.upper_dir));
  const std::string layer = spec.upper_dir + "/" + overlay_layer(spec);
  PANAL_TRY(make_directory(layer, 0700));
  // Canonical owner 0; the mode is that of the desktop's root directory.
  PANAL_TRY(make_directory(layer + "/upper", 0755));
  return make_directory(layer + "/work", 0700);
}

/// Discards a volatile upper, half-deleted ones, and what a killed provision() left mounted.
Result<Recovered> clear_upper(const std::string& upper_dir) {
  Recovered done;
  for (const bool persistent : {false, true}) {
    const std::string name = layer_name("overlay", persistent);
    struct stat info{};
    if (::lstat((upper_dir + "/" + name).c_str(), &info) != 0) continue;
    // provision() attaches it over itself for a moment.
    PANAL_ASSIGN(const std::uint32_t mounts, detach_all(upper_dir + "/" + name));
    done.unmounted += mounts;
    if (persistent) continue;
    PANAL_ASSIGN(const bool discarded, discard_layer(upper_dir, name));
    if (discarded) ++done.removed;
  }
  PANAL_ASSIGN(const std::uint32_t trash, empty_trash(upper_dir));
  done.removed += trash;
  return done;
}

}  // namespace

BackendTraits OverlayBackend::traits() const {
  BackendTraits traits;
  traits.shares_pages = traits.writable_all = traits.persistent = true;
  traits.follows_version = traits.layers = true;
  return traits;
}

Result<void> OverlayBackend::provision(const RootSpec& spec) {
  PANAL_TRY(expect_possible(name(), traits(), spec));
  PANAL_TRY(expect_unmounted(spec));
  PANAL_TRY(clear_upper(spec.upper_dir));
  PANAL_TRY(expect_trees(spec));
  // A failed start leaves nothing of a volatile upper.
  Cleanup undo([&spec] {
    if (!spec.persistent) (void)clear_upper(spec.upper_dir);
  });
  PANAL_TRY(make_overlay_dirs(spec));
  PANAL_ASSIGN(const UserNamespace names, UserNamespace::create(spec.ids.first, spec.ids.count));

  const std::string layer_dir = spec.upper_dir + "/" + overlay_layer(spec);
  Result<UniqueFd> root = fail(EIO, "not mounted");
  {
    PANAL_ASSIGN(const Lowers lowers, Lowers::attach(spec, names.fd()));
    PANAL_TRY(mount::bind_idmapped(layer_dir, layer_dir, MOUNT_ATTR_NODEV, names.fd()));
    const Cleanup detach([&layer_dir] { (void)mount::detach(layer_dir); });
    PANAL_ASSIGN(const OpenLayer upper, OpenLayer::open(layer_dir + "/upper"));
    PANAL_ASSIGN(const OpenLayer work, OpenLayer::open(layer_dir + "/work"));
    const bool kept = spec.persistent;
    root = create_overlay({lowers.option(), upper.path(), work.path(), spec.ids.first,
                           !kept && options_.metacopy, !kept && options_.unsynced});
  }
  if (!root) return prefixed("compose " + spec.mount_point, root.error());
  PANAL_TRY(mount::attach(root->get(), spec.mount_point));
  undo.release();
  return {};
}

Result<void> OverlayBackend::destroy(const RootSpec& spec) {
  PANAL_TRY(detach_all(spec.mount_point));
  if (spec.persistent) return {};
  PANAL_TRY(clear_upper(spec.upper_dir));
  return {};
}

Result<Recovered> OverlayBackend::recover(const RecoverScope& scope) {
  Recovered all;
  const auto clear = [&all](const RootSpec& spec) -> Result<void> {
    PANAL_ASSIGN(const std::uint32_t mounts, detach_all(spec.mount_point));
    PANAL_ASSIGN(const Recovered one, clear_upper(spec.upper_dir));
    all.unmounted += mounts + one.unmounted;
    all.removed += one.removed;
    return {};
  };
  PANAL_TRY(for_each_resting(scope, all, clear));
  return all;
}

Result<void> OverlayBackend::erase(const RootSpec& spec) {
  PANAL_TRY(detach_all(spec.mount_point));
  PANAL_TRY(clear_upper(spec.upper_dir));
  return remove_tree(spec.upper_dir);
}

Result<RootUsage> OverlayBackend::usage(const RootSpec& spec) {
  return usage_of_tree(spec.upper_dir + "/" + overlay_layer(spec) + "/upper");
}

}  // namespace panal::storage
