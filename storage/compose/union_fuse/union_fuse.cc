#include "storage/compose/union_fuse/union_fuse.h"

#include <linux/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "engine/base/mount.h"
#include "engine/base/tree.h"
#include "engine/base/user_namespace.h"
#include "storage/compose/layer/layer_dir.h"
#include "storage/compose/union_fuse/union_daemon.h"

namespace panal::storage {
namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr std::string_view kLowerView = "lower-";
constexpr std::string_view kLayerView = "layer";

std::string name_of(UnionProgram which) {
  return which == UnionProgram::kFuseOverlayfs ? "fuse-overlayfs" : "unionfs-fuse";
}

/// Both programs split their options at these.
Result<void> check_path(const std::string& path) {
  if (path.find_first_of(",:=\\") == std::string::npos) return {};
  return fail(EINVAL, "compose: " + path +
                          " holds a comma, colon, equals sign or backslash, which this backend's "
                          "program cannot be told");
}

/// The views of the version and the layers, lowest first, and of the desktop's own layer.
struct Views {
  std::vector<std::string> lowers;
  std::string upper, work;
};

Result<Views> attach_views(const RootSpec& spec, const std::string& layer, int user_namespace) {
  Views views;
  std::vector<std::string> trees = {spec.version_root};
  trees.insert(trees.end(), spec.layers.begin(), spec.layers.end());
  for (const std::string& tree : trees) {
    const std::string at =
        layer + "/" + std::string(kLowerView) + std::to_string(views.lowers.size());
    PANAL_TRY(make_directory(at, 0700));
    PANAL_TRY(mount::bind_idmapped(tree, at, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, user_namespace));
    views.lowers.push_back(at);
  }
  const std::string own = layer + "/" + std::string(kLayerView);
  PANAL_TRY(make_directory(own, 0700));
  PANAL_TRY(mount::bind_idmapped(layer, own, MOUNT_ATTR_NODEV, user_namespace));
  views.upper = own + "/upper";
  views.work = own + "/work";
  return views;
}

Result<std::uint32_t> detach_views(const std::string& layer) {
  std::uint32_t count = 0;
  auto dir = Dir::open(layer);
  if (!dir) {
    if (dir.error().is_gone()) return count;
    return tl::make_unexpected(dir.error());
  }
  PANAL_ASSIGN(const auto names, dir->list());
  for (const std::string& name : names) {
    if (name != kLayerView && !name.starts_with(kLowerView)) continue;
    PANAL_ASSIGN(const std::uint32_t mounts, detach_all(layer + "/" + name));
    count += mounts;
  }
  return count;
}

std::vector<std::string> command_line(UnionProgram which, const std::string& program,
                                      const Views& views, const std::string& mount_point) {
  std::string lowers;
  if (which == UnionProgram::kFuseOverlayfs) {
    for (auto one = views.lowers.rbegin(); one != views.lowers.rend(); ++one)
      lowers += (lowers.empty() ? "" : ":") + *one;
    return {program, "-f", "-o",
            "lowerdir=" + lowers + ",upperdir=" + views.upper + ",workdir=" + views.work +
                ",allow_other",
            mount_point};
  }
  for (auto one = views.lowers.rbegin(); one != views.lowers.rend(); ++one)
    lowers += ":" + *one + "=RO";
  return {program,
          "-f",
          "-o",
          "cow,allow_other,use_ino,hide_meta_files",
          views.upper + "=RW" + lowers,
          mount_point};
}

/// Ends what a desktop has of this backend, and discards what is volatile.
Result<Recovered> clear_union(const std::string& name, const RootSpec& spec) {
  Recovered done;
  for (const bool persistent : {false, true}) {
    const std::string layer = spec.upper_dir + "/" + layer_name(name, persistent);
    struct stat info{};
    if (::lstat(layer.c_str(), &info) != 0) continue;
    PANAL_ASSIGN(const std::uint32_t roots,
                 end_daemon(spec.mount_point, layer + "/lock", kPatience));
    PANAL_ASSIGN(const std::uint32_t views, detach_views(layer));
    done.unmounted += roots + views;
    if (persistent) continue;
    PANAL_ASSIGN(const bool discarded, discard_layer(spec.upper_dir, layer_name(name, false)));
    if (discarded) ++done.removed;
  }
  PANAL_ASSIGN(const std::uint32_t roots, detach_all(spec.mount_point));
  PANAL_ASSIGN(const std::uint32_t trash, empty_trash(spec.upper_dir));
  done.unmounted += roots;
  done.removed += trash;
  return done;
}

}  // namespace

Result<std::string> find_union_program(UnionProgram which) {
  const std::string name = name_of(which);
  for (const char* directory : {"/usr/bin", "/usr/local/bin", "/bin"}) {
    const std::string path = std::string(directory) + "/" + name;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return fail(ENOENT, "compose: this backend needs the program " + name +
                          " (Debian's package has that name)");
}

std::string_view UnionFuseBackend::name() const {
  return which_ == UnionProgram::kFuseOverlayfs ? "fuse-overlayfs" : "unionfs-fuse";
}

BackendTraits UnionFuseBackend::traits() const {
  BackendTraits traits;
  traits.writable_all = traits.persistent = traits.follows_version = traits.layers = true;
  return traits;
}

Result<void> UnionFuseBackend::provision(const RootSpec& spec) {
  PANAL_TRY(expect_possible(name(), traits(), spec));
  for (const std::string* path : {&spec.upper_dir, &spec.mount_point}) PANAL_TRY(check_path(*path));
  std::string program = program_;
  if (program.empty()) {
    PANAL_ASSIGN(program, find_union_program(which_));
  }
  PANAL_TRY(expect_unmounted(spec));
  PANAL_TRY(clear_union(name_of(which_), spec));
  PANAL_TRY(expect_trees(spec));
  Cleanup undo([this, &spec] { (void)clear_union(name_of(which_), spec); });
  PANAL_TRY(make_upper_dir(spec.upper_dir));
  const std::string layer = spec.upper_dir + "/" + layer_name(name(), spec.persistent);
  PANAL_TRY(make_directory(layer, 0700));
  PANAL_TRY(make_directory(layer + "/upper", 0755));
  PANAL_TRY(make_directory(layer + "/work", 0700));
  PANAL_ASSIGN(const UserNamespace names, UserNamespace::create(spec.ids.first, spec.ids.count));
  PANAL_ASSIGN(const Views views, attach_views(spec, layer, names.fd()));
  UnionDaemon daemon;
  daemon.argv = command_line(which_, program, views, spec.mount_point);
  daemon.id = spec.ids.first;
  daemon.mount_point = spec.mount_point;
  daemon.log_file = layer + "/log";
  daemon.lock_file = layer + "/lock";
  if (auto started = start_daemon(daemon, kPatience); !started)
    return prefixed("compose " + spec.mount_point, started.error());
  undo.release();
  return {};
}

Result<void> UnionFuseBackend::destroy(const RootSpec& spec) {
  PANAL_TRY(clear_union(name_of(which_), spec));
  return {};
}

Result<Recovered> UnionFuseBackend::recover(const RecoverScope& scope) {
  Recovered all;
  const auto clear = [this, &all](const RootSpec& spec) -> Result<void> {
    PANAL_ASSIGN(const Recovered one, clear_union(name_of(which_), spec));
    all.unmounted += one.unmounted;
    all.removed += one.removed;
    return {};
  };
  PANAL_TRY(for_each_resting(scope, all, clear));
  return all;
}

Result<void> UnionFuseBackend::erase(const RootSpec& spec) {
  PANAL_TRY(clear_union(name_of(which_), spec));
  PANAL_TRY(discard_layer(spec.upper_dir, layer_name(name(), true)));
  return remove_tree(spec.upper_dir);
}

Result<RootUsage> UnionFuseBackend::usage(const RootSpec& spec) {
  return usage_of_tree(spec.upper_dir + "/" + layer_name(name(), spec.persistent) + "/upper");
}

}  // namespace panal::storage
