#include "storage/compose/btrfs/btrfs.h"

#include <btrfsutil.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "engine/base/mount.h"
#include "engine/base/tree.h"
#include "engine/base/user_namespace.h"
#include "storage/compose/btrfs/changes.h"
#include "storage/compose/copy/copy_tree.h"
#include "storage/compose/layer/layer_dir.h"
#include "storage/compose/layer/template_key.h"

namespace panal::storage {
namespace {

/// The library leaves errno as the failing call set it.
Failure btrfs_failure(const std::string& what, btrfs_util_error error) {
  const int code = errno;
  return fail(code != 0 ? code : EIO, what + ": " + btrfs_util_strerror(error));
}

/// With the subvolumes that its desktop may have made in it. False: there is none.
Result<bool> delete_subvolume(const std::string& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return false;
    return fail_errno("look at", path);
  }
  const auto error =
      btrfs_util_delete_subvolume(path.c_str(), BTRFS_UTIL_DELETE_SUBVOLUME_RECURSIVE);
  // What is no subvolume was made by nobody here, and is not deleted.
  if (error != BTRFS_UTIL_OK) return btrfs_failure("delete the snapshot " + path, error);
  return true;
}

/// Says that a persistent root was made once: without it a lost snapshot looks like a first start.
std::string made_note(const RootSpec& spec) {
  return spec.upper_dir + "/" + layer_name("btrfs", true) + "/made";
}

Result<std::vector<std::string>> names_in_pool(const std::string& path) {
  auto dir = Dir::open(path);
  if (!dir && dir.error().is_gone()) return std::vector<std::string>();
  if (!dir) return tl::make_unexpected(dir.error());
  return dir->list();
}

Result<void> write_version(const std::string& path, const std::string& version_root) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("create", path);
  if (::write(fd.get(), version_root.data(), version_root.size()) !=
      static_cast<ssize_t>(version_root.size()))
    return fail_errno("write", path);
  return {};
}

/// Whether the version that a template was made of is still there. What cannot be read counts as
/// such: nothing is deleted for want of knowledge.
bool has_version(const std::string& path) {
  const auto dir = Dir::open(path);
  if (!dir) return true;
  const auto version = dir->read("version", 8192);
  if (!version || version->empty()) return true;
  return ::access(version->c_str(), F_OK) == 0 || errno != ENOENT;
}

/// Those of desktops that run are busy with a snapshot's making, perhaps; all others are left over.
Result<void> delete_all(const std::string& directory, const std::set<std::string>& live,
                        Recovered& recovered) {
  PANAL_ASSIGN(const auto names, names_in_pool(directory));
  for (const std::string& name : names) {
    if (live.contains(name)) continue;
    auto deleted = delete_subvolume(directory + "/" + name);
    if (!deleted)
      recovered.problems.push_back(deleted.error().message());
    else if (*deleted)
      ++recovered.removed;
  }
  return {};
}

}  // namespace

BackendTraits BtrfsBackend::traits() const {
  BackendTraits traits;
  traits.writable_all = traits.persistent = traits.apart = true;
  return traits;
}

std::string BtrfsBackend::snapshot_of(const RootSpec& spec) const {
  return options_.pool + (spec.persistent ? "/persistent/" : "/volatile/") + spec.desktop;
}

Result<std::string> BtrfsBackend::ensure_template(const std::string& version_root) {
  const std::string key = template_key(version_root);
  std::string path = options_.pool + "/templates/" + key;
  const std::lock_guard<std::mutex> lock(making_);
  if (::access(path.c_str(), F_OK) == 0) return path;
  const std::string aside = options_.pool + "/aside/" + key;
  PANAL_TRY(delete_subvolume(aside));
  Cleanup undo([&aside] { (void)delete_subvolume(aside); });
  if (const auto error = btrfs_util_create_subvolume(aside.c_str(), 0, nullptr, nullptr);
      error != BTRFS_UTIL_OK)
    return btrfs_failure("make the subvolume " + aside, error);
  PANAL_TRY(copy_tree(version_root, aside + "/root", {}));
  PANAL_TRY(write_version(aside + "/version", version_root));
  // A name that says it is whole must not be on disk before what it names.
  PANAL_TRY(sync_around(aside));
  if (::rename(aside.c_str(), path.c_str()) != 0) return fail_errno("rename", aside);
  undo.release();
  if (const auto error = btrfs_util_set_subvolume_read_only(path.c_str(), true);
      error != BTRFS_UTIL_OK)
    return btrfs_failure("make read-only " + path, error);
  return path;
}

Result<void> BtrfsBackend::provision(const RootSpec& spec) {
  PANAL_TRY(expect_possible(name(), traits(), spec));
  PANAL_TRY(expect_named(name(), spec));
  PANAL_TRY(expect_unmounted(spec));
  PANAL_TRY(expect_trees(spec));
  {
    const std::lock_guard<std::mutex> lock(making_);
    PANAL_TRY(open_pool(options_));
  }
  RootSpec left_over = spec;
  left_over.persistent = false;
  PANAL_TRY(delete_subvolume(snapshot_of(left_over)));
  PANAL_TRY(make_upper_dir(spec.upper_dir));
  if (spec.persistent)
    PANAL_TRY(make_directory(spec.upper_dir + "/" + layer_name(name(), true), 0700));
  const std::string snapshot = snapshot_of(spec);
  Cleanup undo([&spec, &snapshot] {
    if (!spec.persistent) (void)delete_subvolume(snapshot);
  });
  const bool there = ::access(snapshot.c_str(), F_OK) == 0;
  if (!there && errno != ENOENT) return fail_errno("look at", snapshot);
  const bool noted = spec.persistent && ::access(made_note(spec).c_str(), F_OK) == 0;
  if (noted && !there)
    return fail(ENOENT, "compose: the root that " + spec.desktop + " keeps, the btrfs snapshot " +
                            snapshot +
                            ", is gone: put it back (is the right pool mounted?), or delete " +
                            made_note(spec) + " to begin with a fresh root");
  if (!there) {
    PANAL_ASSIGN(const std::string source, ensure_template(spec.version_root));
    if (const auto error =
            btrfs_util_create_snapshot(source.c_str(), snapshot.c_str(), 0, nullptr, nullptr);
        error != BTRFS_UTIL_OK)
      return btrfs_failure("make the snapshot " + snapshot, error);
  }
  // After the snapshot, which is on disk when it is made; also of one that an older Panal made.
  if (spec.persistent && !noted) PANAL_TRY(write_note(made_note(spec), snapshot));
  PANAL_ASSIGN(const UserNamespace names, UserNamespace::create(spec.ids.first, spec.ids.count));
  PANAL_TRY(
      mount::bind_idmapped(snapshot + "/root", spec.mount_point, MOUNT_ATTR_NODEV, names.fd()));
  undo.release();
  return {};
}

Result<void> BtrfsBackend::destroy(const RootSpec& spec) {
  PANAL_TRY(expect_named(name(), spec));
  PANAL_TRY(detach_all(spec.mount_point));
  if (spec.persistent) return {};
  PANAL_TRY(delete_subvolume(snapshot_of(spec)));
  return {};
}

Result<RootUsage> BtrfsBackend::usage(const RootSpec& spec) {
  PANAL_TRY(expect_named(name(), spec));
  const std::string snapshot = snapshot_of(spec);
  if (::access(snapshot.c_str(), F_OK) != 0) return RootUsage{};
  return changes_of_snapshot(snapshot);
}

Result<Recovered> BtrfsBackend::recover(const RecoverScope& scope) {
  Recovered all;
  const auto unmount = [&all](const RootSpec& spec) -> Result<void> {
    PANAL_ASSIGN(const std::uint32_t mounts, detach_all(spec.mount_point));
    all.unmounted += mounts;
    return {};
  };
  PANAL_TRY(for_each_resting(scope, all, unmount));
  const std::lock_guard<std::mutex> lock(making_);
  // After a reboot the loop file is not mounted; without a file, or a pool, there is nothing.
  const bool on_file = options_.loop_bytes > 0;
  const std::string& what_there_is = on_file ? options_.loop_file : options_.pool;
  if (what_there_is.empty() || ::access(what_there_is.c_str(), F_OK) != 0) return all;
  if (on_file)
    PANAL_TRY(open_pool(options_));
  else if (::access((options_.pool + "/volatile").c_str(), F_OK) != 0)
    return all;
  PANAL_TRY(delete_all(options_.pool + "/volatile", scope.live, all));
  PANAL_TRY(delete_all(options_.pool + "/aside", {}, all));
  PANAL_ASSIGN(const auto templates, names_in_pool(options_.pool + "/templates"));
  for (const std::string& one : templates) {
    const std::string path = options_.pool + "/templates/" + one;
    if (has_version(path)) continue;
    auto deleted = delete_subvolume(path);
    if (!deleted)
      all.problems.push_back(deleted.error().message());
    else
      ++all.removed;
  }
  return all;
}

Result<void> BtrfsBackend::erase(const RootSpec& spec) {
  PANAL_TRY(expect_named(name(), spec));
  PANAL_TRY(detach_all(spec.mount_point));
  // Before the snapshot: a deletion that is cut short is not one that has lost its snapshot.
  const std::string note = made_note(spec);
  if (::unlink(note.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR)
    return fail_errno("delete", note);
  for (const bool persistent : {false, true}) {
    RootSpec one = spec;
    one.persistent = persistent;
    PANAL_TRY(delete_subvolume(snapshot_of(one)));
  }
  return remove_tree(spec.upper_dir);
}

}  // namespace panal::storage
