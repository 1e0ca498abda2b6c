#include "storage/compose/bind/bind.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "engine/base/mount.h"
#include "engine/base/user_namespace.h"
#include "storage/compose/copy/copy_tree.h"
#include "storage/compose/layer/layer_dir.h"

namespace panal::storage {
namespace {

std::string bind_root(const RootSpec& spec) {
  return spec.upper_dir + "/" + layer_name("bind", spec.persistent);
}

bool is_shared(std::string_view path) {
  const auto& shared = bind_shared_dirs();
  return std::find(shared.begin(), shared.end(), path) != shared.end();
}

Result<Recovered> clear_binds(const std::string& upper_dir) {
  Recovered done;
  PANAL_ASSIGN(const bool discarded, discard_layer(upper_dir, layer_name("bind", false)));
  PANAL_ASSIGN(const std::uint32_t trash, empty_trash(upper_dir));
  done.removed = trash + (discarded ? 1 : 0);
  return done;
}

/// A directory inside a root that its desktop could write to: nothing in the way may be a link, and
/// there is no way out.
Result<UniqueFd> open_inside(int root, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
  if (fd) return fd;
  const int code = errno;
  return fail(code == ENOENT || code == ENOTDIR || code == ELOOP ? EINVAL : code,
              "the desktop's own /" + path +
                  " is no directory any more, so the image's cannot be put there; its root must be "
                  "made anew");
}

Result<void> attach_on(int mount_fd, const UniqueFd& directory, const std::string& path) {
  if (::syscall(SYS_move_mount, mount_fd, "", directory.get(), "",
                MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
    return fail_errno("move_mount", path);
  return {};
}

/// The version's shared directories over those of the root that is mounted.
Result<void> attach_shared(const RootSpec& spec, int user_namespace) {
  const UniqueFd root(::open(spec.mount_point.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return fail_errno("open", spec.mount_point);
  for (const std::string& path : bind_shared_dirs()) {
    const std::string source = spec.version_root + "/" + path;
    struct stat info{};
    if (::lstat(source.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) continue;
    PANAL_ASSIGN(const UniqueFd tree, mount::clone_tree(source));
    PANAL_TRY(
        mount::set_attributes(tree.get(), MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, user_namespace));
    PANAL_ASSIGN(const UniqueFd target, open_inside(root.get(), path));
    PANAL_TRY(attach_on(tree.get(), target, path));
  }
  return {};
}

}  // namespace

const std::vector<std::string>& bind_shared_dirs() {
  static const std::vector<std::string> dirs = {"usr",  "opt",          "bin",         "sbin",
                                                "lib",  "lib32",        "lib64",       "libx32",
                                                "boot", "var/lib/dpkg", "var/lib/apt", "var/cache"};
  return dirs;
}

BackendTraits BindBackend::traits() const {
  BackendTraits traits;
  traits.shares_pages = traits.persistent = true;
  return traits;
}

Result<void> BindBackend::provision(const RootSpec& spec) {
  PANAL_TRY(expect_possible(name(), traits(), spec));
  PANAL_TRY(expect_unmounted(spec));
  PANAL_TRY(clear_binds(spec.upper_dir));
  PANAL_TRY(expect_trees(spec));
  Cleanup undo([&spec] {
    (void)detach_all(spec.mount_point);
    (void)empty_trash(spec.upper_dir);
    if (!spec.persistent) (void)clear_binds(spec.upper_dir);
  });
  PANAL_TRY(make_upper_dir(spec.upper_dir));
  const std::string root = bind_root(spec);
  if (::access(root.c_str(), F_OK) != 0) {
    PANAL_ASSIGN(const std::string aside, new_aside(spec.upper_dir));
    PANAL_TRY(copy_tree(spec.version_root, aside + "/root", {true, is_shared}));
    // A name that says it is whole must not be on disk before what it names.
    if (spec.persistent) PANAL_TRY(sync_around(aside));
    if (::rename((aside + "/root").c_str(), root.c_str()) != 0) return fail_errno("rename", root);
    PANAL_TRY(empty_trash(spec.upper_dir));
  }
  PANAL_ASSIGN(const UserNamespace names, UserNamespace::create(spec.ids.first, spec.ids.count));
  PANAL_TRY(mount::bind_idmapped(root, spec.mount_point, MOUNT_ATTR_NODEV, names.fd()));
  PANAL_TRY(attach_shared(spec, names.fd()));
  undo.release();
  return {};
}

Result<void> BindBackend::destroy(const RootSpec& spec) {
  // Lazily: what is mounted inside goes along.
  PANAL_TRY(detach_all(spec.mount_point));
  if (spec.persistent) return {};
  PANAL_TRY(clear_binds(spec.upper_dir));
  return {};
}

Result<Recovered> BindBackend::recover(const RecoverScope& scope) {
  Recovered all;
  const auto clear = [&all](const RootSpec& spec) -> Result<void> {
    PANAL_ASSIGN(const std::uint32_t mounts, detach_all(spec.mount_point));
    PANAL_ASSIGN(const Recovered one, clear_binds(spec.upper_dir));
    all.unmounted += mounts;
    all.removed += one.removed;
    return {};
  };
  PANAL_TRY(for_each_resting(scope, all, clear));
  return all;
}

Result<void> BindBackend::erase(const RootSpec& spec) {
  PANAL_TRY(detach_all(spec.mount_point));
  PANAL_TRY(discard_layer(spec.upper_dir, layer_name("bind", true)));
  PANAL_TRY(clear_binds(spec.upper_dir));
  return remove_tree(spec.upper_dir);
}

Result<RootUsage> BindBackend::usage(const RootSpec& spec) {
  return usage_of_tree(bind_root(spec));
}

}  // namespace panal::storage
