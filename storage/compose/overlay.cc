#include "storage/compose/overlay.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "engine/base/kernel_paths.h"
#include "engine/base/mount.h"
#include "engine/base/tree.h"
#include "engine/base/user_namespace.h"
#include "storage/compose/mapped_credentials.h"

namespace panal::storage {
namespace {

constexpr const char* kTrash = "trash-";

std::string layer_name(const RootSpec& spec) { return spec.persistent ? "persistent" : "volatile"; }

Result<void> make_directory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return fail_errno("make directory", path);
}

Result<void> make_layers(const RootSpec& spec) {
  auto made = make_directory(spec.upper_dir, 0700);
  if (!made && made.error().code == ENOENT) {
    PANAL_TRY(make_directory(spec.upper_dir.substr(0, spec.upper_dir.rfind('/')), 0755));
    made = make_directory(spec.upper_dir, 0700);
  }
  if (!made) return made;
  const std::string layer = spec.upper_dir + "/" + layer_name(spec);
  PANAL_TRY(make_directory(layer, 0700));
  // Canonical owner 0; the mode is that of the desktop's root directory.
  PANAL_TRY(make_directory(layer + "/upper", 0755));
  return make_directory(layer + "/work", 0700);
}

/// A directory of an attached helper mount, for overlayfs to find by a path that is short (option
/// values end at 255 bytes) and holds none of its separators.
struct Layer {
  UniqueFd fd;
  [[nodiscard]] std::string path() const {
    return std::string(kernel_paths::kProcSelfFd) + "/" + std::to_string(fd.get());
  }
};

Result<Layer> open_layer(const std::string& path) {
  Layer layer{UniqueFd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC))};
  if (!layer.fd) return fail_errno("open", path);
  return layer;
}

/// The overlay's own accesses are made with the credentials of whoever mounts it, and the kernel
/// makes it read-only without a word if those ids do not exist in the idmapped upper (as uid 0 of
/// the host does not). A thread of its own, because fsuid and capabilities are per thread.
Result<UniqueFd> create_overlay(const RootSpec& spec, const Layer& lower, const Layer& upper,
                                const Layer& work) {
  std::vector<std::pair<std::string, std::string>> options = {
      {"source", "panal"},
      {"lowerdir", lower.path()},
      {"upperdir", upper.path()},
      {"workdir", work.path()},
      {"redirect_dir", "on"},
      {"index", "off"},
      {"metacopy", spec.persistent ? "off" : "on"},
  };
  if (!spec.persistent) options.emplace_back("volatile", "");
  Result<UniqueFd> made = fail(EIO, "the mounting thread did not run");
  try {
    std::thread([&] {
      if (auto mapped = assume_mapped_credentials(spec.ids.first); !mapped)
        made = tl::make_unexpected(mapped.error());
      else
        made = mount::create("overlay", options, MOUNT_ATTR_NODEV);
    }).join();
  } catch (const std::system_error& problem) {
    return fail(problem.code().value(), "start a thread");
  }
  return made;
}

Result<void> expect_writable(int mount_fd) {
  struct statvfs info{};
  if (::fstatvfs(mount_fd, &info) != 0) return fail_errno("statvfs");
  if ((info.f_flag & ST_RDONLY) != 0)
    return fail(EROFS, "the kernel gave a read-only overlay; see the kernel log");
  return {};
}

/// Renames first: whatever happens to the deletion, no start will see half of an upper.
Result<void> discard(const std::string& upper_dir, const std::string& name) {
  std::string aside = upper_dir + "/" + kTrash + "XXXXXX";
  const std::string from = upper_dir + "/" + name;
  if (::mkdtemp(aside.data()) == nullptr) {
    if (errno == ENOENT) return {};
    // It is what fills the disk, perhaps. No start uses what is left of a deletion that was cut
    // short: the first thing it does is this.
    if (errno == ENOSPC || errno == EDQUOT) return remove_tree(from);
    return fail_errno("make directory", aside);
  }
  if (::rename(from.c_str(), (aside + "/" + name).c_str()) != 0 && errno != ENOENT)
    return fail_errno("rename", from);
  return remove_tree(aside);
}

}  // namespace

Result<void> OverlayBackend::provision(const RootSpec& spec) {
  PANAL_ASSIGN(const bool mounted, mount::is_mount_point(spec.mount_point));
  if (mounted) return fail(EBUSY, "compose: " + spec.mount_point + " is mounted already");
  PANAL_TRY(recover(spec.upper_dir));
  PANAL_TRY(make_layers(spec));
  if (::access(spec.version_root.c_str(), F_OK) != 0)
    return fail(errno, "the image version's files at " + spec.version_root +
                           " are gone or out of reach; build the image again");
  // A failed start leaves nothing of a volatile upper.
  Cleanup undo([this, &spec] {
    if (!spec.persistent) (void)recover(spec.upper_dir);
  });
  PANAL_ASSIGN(const UserNamespace names, UserNamespace::create(spec.ids.first, spec.ids.count));

  // Overlayfs finds layers by path, so the two helper mounts must be attached somewhere for as long
  // as it looks; it then has clones of its own, and they go again.
  const std::string layer_dir = spec.upper_dir + "/" + layer_name(spec);
  const std::string& lower_at = spec.mount_point;
  Cleanup helpers;
  PANAL_TRY(mount::bind_idmapped(spec.version_root, lower_at, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV,
                                 names.fd()));
  helpers.push([&lower_at] { (void)mount::detach(lower_at); });
  PANAL_TRY(mount::bind_idmapped(layer_dir, layer_dir, MOUNT_ATTR_NODEV, names.fd()));
  helpers.push([&layer_dir] { (void)mount::detach(layer_dir); });

  Result<UniqueFd> root = fail(EIO, "not mounted");
  {
    PANAL_ASSIGN(const Layer lower, open_layer(lower_at));
    PANAL_ASSIGN(const Layer upper, open_layer(layer_dir + "/upper"));
    PANAL_ASSIGN(const Layer work, open_layer(layer_dir + "/work"));
    root = create_overlay(spec, lower, upper, work);
  }
  helpers.run();
  if (!root) return prefixed("compose " + spec.mount_point, root.error());
  PANAL_TRY(expect_writable(root->get()));
  PANAL_TRY(mount::attach(root->get(), spec.mount_point));
  undo.release();
  return {};
}

Result<void> OverlayBackend::destroy(const RootSpec& spec) {
  PANAL_TRY(mount::detach(spec.mount_point));
  if (spec.persistent) return {};
  return recover(spec.upper_dir);
}

Result<void> OverlayBackend::recover(const std::string& upper_dir) {
  struct stat info{};
  if (::lstat((upper_dir + "/volatile").c_str(), &info) == 0) {
    // What a killed provision() left mounted over itself.
    PANAL_TRY(mount::detach(upper_dir + "/volatile"));
    PANAL_TRY(discard(upper_dir, "volatile"));
  }
  if (::lstat((upper_dir + "/persistent").c_str(), &info) == 0)
    PANAL_TRY(mount::detach(upper_dir + "/persistent"));
  auto dir = Dir::open(upper_dir);
  if (!dir) {
    if (dir.error().code == ENOENT) return {};
    return tl::make_unexpected(dir.error());
  }
  PANAL_ASSIGN(const auto names, dir->list());
  for (const auto& name : names)
    if (name.starts_with(kTrash)) PANAL_TRY(remove_tree(dir->fd(), name));
  return {};
}

Result<void> OverlayBackend::erase(const std::string& upper_dir) {
  PANAL_TRY(recover(upper_dir));
  return remove_tree(upper_dir);
}

Result<RootUsage> OverlayBackend::usage(const RootSpec& spec) {
  RootUsage usage;
  const std::string upper = spec.upper_dir + "/" + layer_name(spec) + "/upper";
  struct stat info{};
  if (::lstat(upper.c_str(), &info) != 0 && errno == ENOENT) return usage;
  PANAL_TRY(walk_tree(upper, [&usage](const TreeEntry& entry) -> Result<void> {
    constexpr std::uint64_t kBlock = 512;  // st_blocks' unit whatever the file system's
    usage.bytes += static_cast<std::uint64_t>(entry.info.st_blocks) * kBlock;
    ++usage.inodes;
    return {};
  }));
  return usage;
}

}  // namespace panal::storage
