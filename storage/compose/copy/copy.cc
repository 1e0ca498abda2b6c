#include "storage/compose/copy/copy.h"

#include <linux/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "engine/base/mount.h"
#include "engine/base/user_namespace.h"
#include "storage/compose/copy/copy_tree.h"
#include "storage/compose/layer/layer_dir.h"

namespace panal::storage {
namespace {

std::string copied_root(const RootSpec& spec) {
  return spec.upper_dir + "/" + layer_name("copy", spec.persistent);
}

Result<Recovered> clear_copies(const std::string& upper_dir) {
  Recovered done;
  PANAL_ASSIGN(const bool discarded, discard_layer(upper_dir, layer_name("copy", false)));
  PANAL_ASSIGN(const std::uint32_t trash, empty_trash(upper_dir));
  done.removed = trash + (discarded ? 1 : 0);
  return done;
}

}  // namespace

BackendTraits CopyBackend::traits() const {
  BackendTraits traits;
  traits.writable_all = traits.persistent = true;
  return traits;
}

Result<void> CopyBackend::provision(const RootSpec& spec) {
  PANAL_TRY(expect_possible(name(), traits(), spec));
  PANAL_TRY(expect_unmounted(spec));
  PANAL_TRY(clear_copies(spec.upper_dir));
  PANAL_TRY(expect_trees(spec));
  Cleanup undo([&spec] {
    (void)empty_trash(spec.upper_dir);
    if (!spec.persistent) (void)clear_copies(spec.upper_dir);
  });
  PANAL_TRY(make_upper_dir(spec.upper_dir));
  const std::string root = copied_root(spec);
  if (::access(root.c_str(), F_OK) != 0) {
    PANAL_ASSIGN(const std::string aside, new_aside(spec.upper_dir));
    PANAL_TRY(copy_tree(spec.version_root, aside + "/root", {reflink_, {}}));
    // A name that says it is whole must not be on disk before what it names.
    if (spec.persistent) PANAL_TRY(sync_around(aside));
    if (::rename((aside + "/root").c_str(), root.c_str()) != 0) return fail_errno("rename", root);
    PANAL_TRY(empty_trash(spec.upper_dir));
  }
  PANAL_ASSIGN(const UserNamespace names, UserNamespace::create(spec.ids.first, spec.ids.count));
  PANAL_TRY(mount::bind_idmapped(root, spec.mount_point, MOUNT_ATTR_NODEV, names.fd()));
  undo.release();
  return {};
}

Result<void> CopyBackend::destroy(const RootSpec& spec) {
  PANAL_TRY(detach_all(spec.mount_point));
  if (spec.persistent) return {};
  PANAL_TRY(clear_copies(spec.upper_dir));
  return {};
}

Result<Recovered> CopyBackend::recover(const RecoverScope& scope) {
  Recovered all;
  const auto clear = [&all](const RootSpec& spec) -> Result<void> {
    PANAL_ASSIGN(const std::uint32_t mounts, detach_all(spec.mount_point));
    PANAL_ASSIGN(const Recovered one, clear_copies(spec.upper_dir));
    all.unmounted += mounts;
    all.removed += one.removed;
    return {};
  };
  PANAL_TRY(for_each_resting(scope, all, clear));
  return all;
}

Result<void> CopyBackend::erase(const RootSpec& spec) {
  PANAL_TRY(detach_all(spec.mount_point));
  PANAL_TRY(discard_layer(spec.upper_dir, layer_name("copy", true)));
  PANAL_TRY(clear_copies(spec.upper_dir));
  return remove_tree(spec.upper_dir);
}

Result<RootUsage> CopyBackend::usage(const RootSpec& spec) {
  return usage_of_tree(copied_root(spec));
}

}  // namespace panal::storage
