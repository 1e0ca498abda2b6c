#include "storage/compose/layer/layer_dir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "engine/base/file_tree.h"
#include "engine/base/mount.h"
#include "engine/base/tree.h"

namespace panal::storage {
namespace {

constexpr std::string_view kTrash = "trash-";
constexpr std::string_view kNew = "new-";
constexpr std::string_view kPersistent = "persistent";
constexpr std::string_view kOverlay = "overlay";
constexpr const char* kKeptBy = "kept-by";
constexpr std::size_t kMostName = 64;
/// More mounts than this on one another were made by nobody here.
constexpr std::uint32_t kMostStacked = 64;

bool is_kernel_name(const std::string& name) {
  return name.size() > 1 && name.front() == 'd' &&
         std::all_of(name.begin() + 1, name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string parent_dir(const std::string& path) { return path.substr(0, path.rfind('/')); }

Result<std::vector<std::string>> names_below(const std::string& path) {
  auto dir = Dir::open(path);
  if (!dir && dir.error().is_gone()) return std::vector<std::string>();
  if (!dir) return tl::make_unexpected(dir.error());
  return dir->list();
}

}  // namespace

Result<void> make_directory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return fail_errno("make directory", path);
}

Result<void> make_upper_dir(const std::string& upper_dir) {
  auto made = make_directory(upper_dir, 0700);
  if (!made && made.error().code == ENOENT) {
    PANAL_TRY(make_directory(parent_dir(upper_dir), 0755));
    made = make_directory(upper_dir, 0700);
  }
  return made;
}

Result<void> write_note(const std::string& path, std::string_view text) {
  const std::string aside = path + ".new";
  {
    const UniqueFd fd(
        ::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return fail_errno("create", aside);
    if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fsync(fd.get()) != 0)
      return fail_errno("write", aside);
  }
  if (::rename(aside.c_str(), path.c_str()) != 0) return fail_errno("rename", aside);
  const std::string above = parent_dir(path);
  const UniqueFd dir(::open(above.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir || ::fsync(dir.get()) != 0) return fail_errno("fsync", above);
  return {};
}

std::string layer_name(std::string_view backend, bool persistent) {
  const std::string kind(persistent ? kPersistent : "volatile");
  return backend == kOverlay ? kind : std::string(backend) + "-" + kind;
}

std::string persistent_backend(const std::string& upper_dir) {
  const auto above = Dir::open(parent_dir(upper_dir));
  const auto noted = above ? above->read(kKeptBy, kMostName) : Result<std::string>(std::string());
  if (noted && !noted->empty()) return *noted;
  const auto names = names_below(upper_dir);
  if (!names) return {};
  for (const std::string& name : *names) {
    if (name == kPersistent) return std::string(kOverlay);
    const std::string tail = "-" + std::string(kPersistent);
    if (name.size() > tail.size() && name.ends_with(tail))
      return name.substr(0, name.size() - tail.size());
  }
  return {};
}

Result<void> note_persistent_backend(const std::string& upper_dir, std::string_view backend) {
  const std::string above = parent_dir(upper_dir);
  PANAL_TRY(make_directory(above, 0755));
  if (persistent_backend(upper_dir) == backend &&
      ::access((above + "/" + kKeptBy).c_str(), F_OK) == 0)
    return {};
  return write_note(above + "/" + kKeptBy, backend);
}

Result<void> forget_persistent_backend(const std::string& upper_dir) {
  const std::string path = parent_dir(upper_dir) + "/" + kKeptBy;
  if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR)
    return fail_errno("delete", path);
  return {};
}

Result<bool> discard_layer(const std::string& upper_dir, const std::string& name) {
  const std::string from = upper_dir + "/" + name;
  struct stat info{};
  if (::lstat(from.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return fail_errno("look at", from);
  }
  std::string aside = upper_dir + "/" + std::string(kTrash) + "XXXXXX";
  if (::mkdtemp(aside.data()) == nullptr) {
    if (errno == ENOENT) return false;
    // It is what fills the disk, perhaps. No start uses what is left of a deletion that was cut
    // short: the first thing it does is this.
    if (errno == ENOSPC || errno == EDQUOT) {
      PANAL_TRY(remove_tree(from));
      return true;
    }
    return fail_errno("make directory", aside);
  }
  if (::rename(from.c_str(), (aside + "/" + name).c_str()) != 0 && errno != ENOENT)
    return fail_errno("rename", from);
  PANAL_TRY(remove_tree(aside));
  return true;
}

Result<std::uint32_t> empty_trash(const std::string& upper_dir) {
  std::uint32_t count = 0;
  auto dir = Dir::open(upper_dir);
  if (!dir) {
    if (dir.error().is_gone()) return count;
    return tl::make_unexpected(dir.error());
  }
  PANAL_ASSIGN(const auto names, dir->list());
  for (const auto& name : names) {
    if (!name.starts_with(kTrash) && !name.starts_with(kNew)) continue;
    PANAL_TRY(remove_tree(dir->fd(), name));
    ++count;
  }
  return count;
}

Result<std::string> new_aside(const std::string& upper_dir) {
  std::string aside = upper_dir + "/" + std::string(kNew) + "XXXXXX";
  if (::mkdtemp(aside.data()) == nullptr) return fail_errno("make directory", aside);
  return aside;
}

Result<void> sync_around(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno("open", path);
  if (::syncfs(fd.get()) != 0) return fail_errno("write out", path);
  return {};
}

Result<RootUsage> usage_of_tree(const std::string& path) {
  RootUsage usage;
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0 && errno == ENOENT) return usage;
  PANAL_TRY(walk_tree(path, [&usage](const TreeEntry& entry) -> Result<void> {
    constexpr std::uint64_t kBlock = 512;  // st_blocks' unit whatever the file system's
    usage.bytes += static_cast<std::uint64_t>(entry.info.st_blocks) * kBlock;
    ++usage.inodes;
    return {};
  }));
  return usage;
}

Result<bool> is_mounted_at(const std::string& path) {
  struct statx info{};
  constexpr int kFlags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
  if (::statx(AT_FDCWD, path.c_str(), kFlags, STATX_TYPE, &info) == 0)
    return (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  if (errno == ENOTCONN) return true;  // a FUSE mount whose daemon has died
  return fail_errno("statx", path);
}

Result<std::uint32_t> detach_all(const std::string& path) {
  for (std::uint32_t count = 0; count < kMostStacked; ++count) {
    PANAL_ASSIGN(const bool mounted, is_mounted_at(path));
    if (!mounted) return count;
    PANAL_TRY(mount::detach(path));
  }
  return fail(EBUSY, "unmount " + path + ": there is always another mount");
}

Result<void> expect_unmounted(const RootSpec& spec) {
  PANAL_ASSIGN(const bool mounted, is_mounted_at(spec.mount_point));
  if (mounted) return fail(EBUSY, "compose: " + spec.mount_point + " is mounted already");
  return {};
}

Result<void> expect_trees(const RootSpec& spec) {
  if (::access(spec.version_root.c_str(), F_OK) != 0)
    return fail(errno, "the image version's files at " + spec.version_root +
                           " are gone or out of reach; build the image again");
  for (const std::string& layer : spec.layers)
    if (::access(layer.c_str(), F_OK) != 0)
      return fail(errno, "the layer " + layer +
                             " of this image is gone or out of reach; put it back, or take it out "
                             "of layers in [compose]");
  return {};
}

Result<void> expect_possible(std::string_view backend, const BackendTraits& traits,
                             const RootSpec& spec) {
  const std::string who = "compose: backend " + std::string(backend);
  if (spec.persistent && !traits.persistent)
    return fail(EOPNOTSUPP, who +
                                " keeps nothing: give the image another one in [compose], or "
                                "make the desktop a volatile one");
  if (!spec.layers.empty() && !traits.layers)
    return fail(EOPNOTSUPP, who + " takes no layers beside the image's version");
  if ((spec.limits.bytes > 0 || spec.limits.inodes > 0) && !traits.limits)
    return fail(EOPNOTSUPP, who + " cannot limit what a desktop writes");
  return {};
}

Result<void> expect_named(std::string_view backend, const RootSpec& spec) {
  if (!spec.desktop.empty() && spec.desktop.front() != '.' &&
      spec.desktop.find('/') == std::string::npos)
    return {};
  return fail(EINVAL, "compose: " + std::string(backend) + " needs the desktop's name, not \"" +
                          spec.desktop + "\"");
}

Result<void> for_each_resting(const RecoverScope& scope, Recovered& recovered,
                              const std::function<Result<void>(RootSpec)>& one) {
  PANAL_ASSIGN(const auto states, names_below(scope.state));
  PANAL_ASSIGN(const auto runs, names_below(scope.run));
  std::set<std::string> names(states.begin(), states.end());
  names.insert(runs.begin(), runs.end());
  for (const std::string& name : names) {
    if (!is_kernel_name(name) || scope.live.contains(name)) continue;
    RootSpec spec;
    spec.desktop = name;
    spec.upper_dir = scope.state + "/" + name + "/upper";
    spec.mount_point = scope.run + "/" + name + "/root";
    if (auto done = one(std::move(spec)); !done)
      recovered.problems.push_back(name + ": " + done.error().message());
  }
  return {};
}

}  // namespace panal::storage
