#include "storage/unpack/target.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "engine/base/file_tree.h"
#include "engine/base/tree.h"
#include "storage/unpack/entry_rules.h"

namespace panal::storage::unpack {
namespace {

/// Deeper than any entry's path can be, links included (each path has 64 levels at most).
constexpr int kDeepestLower = 512;

UniqueFd open_beneath(int root, const std::string& path, std::uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  return UniqueFd(static_cast<int>(
      ::syscall(SYS_openat2, root, path.empty() ? "." : path.c_str(), &how, sizeof how)));
}

/// errno of a look-up, in words that name the entry and the directory.
Failure lookup_failure(const std::string& entry, const std::string& directory) {
  const int code = errno;
  const std::string where = shown(entry) + ": its directory " + shown(directory);
  switch (code) {
    case EXDEV: return fail(EPERM, where + " is reached through a link that leads out");
    case ELOOP: return fail(ELOOP, where + " is reached through too many links");
    case ENOTDIR: return fail(ENOTDIR, where + " is none");
    default: return fail(code, where);
  }
}

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

std::string name_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

}  // namespace

Result<UniqueFd> Target::open_directory(const std::string& path, bool make,
                                        const std::string& entry) {
  UniqueFd fd = open_beneath(root_.get(), path, O_PATH | O_DIRECTORY);
  if (fd) return fd;
  if (errno != ENOENT || !make || path.empty()) return lookup_failure(entry, path);
  PANAL_ASSIGN(const UniqueFd above, open_directory(parent_of(path), true, entry));
  // Where the name is taken it is a link to nothing, which the second look-up says.
  if (::mkdirat(above.get(), name_of(path).c_str(), 0755) != 0 && errno != EEXIST)
    return lookup_failure(entry, path);
  fd = open_beneath(root_.get(), path, O_PATH | O_DIRECTORY);
  if (!fd) return lookup_failure(entry, path);
  return fd;
}

Result<Target::Place> Target::place_of(const std::string& path, bool make_parents) {
  Place place;
  place.name = name_of(path);
  PANAL_ASSIGN(place.directory, open_directory(parent_of(path), make_parents, path));
  if (layered_) {
    struct stat info{};
    if (::fstat(place.directory.get(), &info) != 0) return fail_errno("stat", path);
    place.inode = info.st_ino;
  }
  return place;
}

void Target::remember(const Place& place) {
  if (layered_) made_.emplace(place.inode, place.name);
}

Result<void> Target::clear_name(const Place& place, const std::string& path) {
  if (auto removed = remove_tree(place.directory.get(), place.name); !removed)
    return prefixed(shown(path) + " is to be replaced", removed.error());
  return {};
}

Result<void> Target::make_directory(const std::string& path, const Attributes& attributes) {
  PANAL_ASSIGN(const Place place, place_of(path, true));
  struct stat info{};
  const int found =
      ::fstatat(place.directory.get(), place.name.c_str(), &info, AT_SYMLINK_NOFOLLOW);
  if (found != 0 && errno != ENOENT) return failed_at("stat", path);
  if (found != 0 || !S_ISDIR(info.st_mode)) {
    PANAL_TRY(clear_name(place, path));
    if (::mkdirat(place.directory.get(), place.name.c_str(), 0700) != 0)
      return failed_at("make directory", path);
  }
  const UniqueFd made(::openat(place.directory.get(), place.name.c_str(),
                               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!made) return failed_at("open", path);
  if (::fchown(made.get(), attributes.uid, attributes.gid) != 0 ||
      ::fchmod(made.get(), attributes.mode) != 0)
    return failed_at("set owner and mode of", path);
  directory_times_[path] = attributes.modified;
  remember(place);
  return {};
}

Result<UniqueFd> Target::make_file(const std::string& path) {
  PANAL_ASSIGN(const Place place, place_of(path, true));
  PANAL_TRY(clear_name(place, path));
  UniqueFd file(::openat(place.directory.get(), place.name.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return failed_at("create", path);
  remember(place);
  return file;
}

Result<void> Target::seal(const UniqueFd& file, const std::string& path,
                          const Attributes& attributes) {
  if (::fchown(file.get(), attributes.uid, attributes.gid) != 0 ||
      ::fchmod(file.get(), attributes.mode) != 0)
    return failed_at("set owner and mode of", path);
  const std::array<timespec, 2> times = {attributes.modified, attributes.modified};
  if (::futimens(file.get(), times.data()) != 0) return failed_at("set the time of", path);
  return {};
}

Result<void> Target::make_symlink(const std::string& path, const std::string& target,
                                  const Attributes& attributes) {
  PANAL_ASSIGN(const Place place, place_of(path, true));
  PANAL_TRY(clear_name(place, path));
  const std::array<timespec, 2> times = {attributes.modified, attributes.modified};
  if (::symlinkat(target.c_str(), place.directory.get(), place.name.c_str()) != 0 ||
      ::fchownat(place.directory.get(), place.name.c_str(), attributes.uid, attributes.gid,
                 AT_SYMLINK_NOFOLLOW) != 0 ||
      ::utimensat(place.directory.get(), place.name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) !=
          0)
    return failed_at("make the link", path);
  remember(place);
  return {};
}

Result<void> Target::make_hard_link(const std::string& path, const std::string& target) {
  auto source = place_of(target, false);
  if (!source) return prefixed(shown(path) + " is a hard link to " + shown(target), source.error());
  struct stat info{};
  if (::fstatat(source->directory.get(), source->name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    const int code = errno;
    return fail(code, shown(path) + " is a hard link to what is not in the archive before it: " +
                          shown(target));
  }
  if (S_ISDIR(info.st_mode))
    return fail(EPERM, shown(path) + " is a hard link to the directory " + shown(target));
  PANAL_ASSIGN(const Place place, place_of(path, true));
  struct stat there{};
  if (::fstatat(place.directory.get(), place.name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
      there.st_ino == info.st_ino) {
    remember(place);  // it is that file already, maybe by this very name
    return {};
  }
  PANAL_TRY(clear_name(place, path));
  if (::linkat(source->directory.get(), source->name.c_str(), place.directory.get(),
               place.name.c_str(), 0) != 0)
    return failed_at("make the hard link", path);
  remember(place);
  return {};
}

Result<void> Target::clear_lower_name(int directory, ino_t inode, const std::string& name,
                                      const std::string& path, int depth) {
  struct stat info{};
  if (::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return {};
    return failed_at("stat", path);
  }
  const bool own = made_.contains({inode, name});
  if (!S_ISDIR(info.st_mode)) {
    if (own) return {};
    if (::unlinkat(directory, name.c_str(), 0) != 0) return failed_at("delete", path);
    return {};
  }
  const UniqueFd child(
      ::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!child) return failed_at("open", path);
  PANAL_ASSIGN(const bool left, clear_lower(child.get(), path, depth + 1));
  // A directory that this layer did not name stays as long as it holds something of this layer.
  if (!own && !left && ::unlinkat(directory, name.c_str(), AT_REMOVEDIR) != 0)
    return failed_at("delete directory", path);
  return {};
}

Result<bool> Target::clear_lower(int directory, const std::string& path, int depth) {
  if (depth > kDeepestLower) return fail(EOVERFLOW, shown(path) + " is too deep to be deleted");
  struct stat info{};
  if (::fstat(directory, &info) != 0) return failed_at("stat", path);
  UniqueFd listed(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!listed) return failed_at("open", path);
  const Dir dir(std::move(listed), path);
  PANAL_ASSIGN(const auto names, dir.list());
  for (const auto& name : names)
    PANAL_TRY(clear_lower_name(directory, info.st_ino, name, path + "/" + name, depth));
  PANAL_ASSIGN(const auto left, dir.list());
  return !left.empty();
}

Result<void> Target::whiteout(const std::string& path) {
  auto place = place_of(path, false);
  if (!place) {
    // No such directory below: nothing to hide.
    if (place.error().code == ENOENT || place.error().code == ENOTDIR) return {};
    return tl::make_unexpected(place.error());
  }
  return clear_lower_name(place->directory.get(), place->inode, place->name, path, 0);
}

Result<void> Target::make_opaque(const std::string& path) {
  auto directory = open_directory(path, false, path + "/.wh..wh..opq");
  if (!directory) {
    if (directory.error().code == ENOENT || directory.error().code == ENOTDIR) return {};
    return tl::make_unexpected(directory.error());
  }
  PANAL_TRY(clear_lower(directory->get(), path, 0));
  return {};
}

Result<void> Target::set_directory_times() {
  for (const auto& [path, modified] : directory_times_) {
    const UniqueFd fd = open_beneath(root_.get(), path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!fd) continue;  // replaced or deleted since
    const std::array<timespec, 2> times = {modified, modified};
    if (::futimens(fd.get(), times.data()) != 0) return failed_at("set the time of", path);
  }
  directory_times_.clear();
  return {};
}

}  // namespace panal::storage::unpack
