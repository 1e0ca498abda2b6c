#include "storage/compose/copy/copy_tree.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>
#include <vector>

#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "engine/base/unique_fd.h"

namespace panal::storage {
namespace {

/// One copy_file_range(2); it may do less.
constexpr std::size_t kMostAtOnce = std::size_t{64} << 20U;

/// By descriptor, because a regular file's or directory's is open anyway. trusted.* are overlay's
/// marks and no part of an image.
Result<void> copy_xattrs(int from, int to, const std::string& path) {
  std::vector<char> names(4096);
  ssize_t length = ::flistxattr(from, names.data(), names.size());
  if (length < 0 && errno == ERANGE) {
    names.resize(65'536);
    length = ::flistxattr(from, names.data(), names.size());
  }
  if (length < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) return {};
  if (length < 0) return fail_errno("list the attributes of", path);
  if (length == 0) return {};
  std::vector<char> value(65'536);
  for (const char* name = names.data(); name < names.data() + length;
       name += std::string_view(name).size() + 1) {
    if (std::string_view(name).starts_with("trusted.")) continue;
    const ssize_t size = ::fgetxattr(from, name, value.data(), value.size());
    if (size < 0 && errno == ENODATA) continue;
    if (size < 0) return fail_errno("read an attribute of", path);
    if (::fsetxattr(to, name, value.data(), static_cast<std::size_t>(size), 0) != 0 &&
        errno != EOPNOTSUPP)
      return fail_errno("write an attribute of", path);
  }
  return {};
}

/// Data from `at` to `end` of both files. `may_share`: copy_file_range(2) shares blocks by itself
/// where the file system can.
Result<void> copy_range(int from, int to, off_t at, off_t end, bool may_share,
                        const std::string& path) {
  off_t in = at;
  off_t out = at;
  std::vector<char> buffer;
  while (in < end) {
    const auto rest = static_cast<std::size_t>(end - in);
    if (may_share) {
      const ssize_t moved = ::copy_file_range(from, &in, to, &out, std::min(rest, kMostAtOnce), 0);
      if (moved > 0) continue;
      if (moved == 0) return {};  // it became shorter meanwhile
      if (errno == EINTR) continue;
      if (errno != EXDEV && errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS)
        return fail_errno("copy", path);
      may_share = false;
    }
    if (buffer.empty()) buffer.resize(std::size_t{1} << 20U);
    const ssize_t got = ::pread(from, buffer.data(), std::min(rest, buffer.size()), in);
    if (got < 0) return fail_errno("read", path);
    if (got == 0) return {};
    for (ssize_t done = 0; done < got;) {
      const ssize_t put =
          ::pwrite(to, buffer.data() + done, static_cast<std::size_t>(got - done), out + done);
      if (put < 0) return fail_errno("write", path);
      done += put;
    }
    in += got;
    out += got;
  }
  return {};
}

/// Holes stay holes.
Result<void> copy_data(int from, int to, off_t size, bool may_share, const std::string& path) {
  for (off_t at = 0; at < size;) {
    off_t data = ::lseek(from, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // a hole to the end
    off_t hole = data < 0 ? -1 : ::lseek(from, data, SEEK_HOLE);
    if (data < 0 || hole < 0) {  // a file system that does not tell
      data = at;
      hole = size;
    }
    PANAL_TRY(copy_range(from, to, data, std::min(hole, size), may_share, path));
    at = hole;
  }
  if (::ftruncate(to, size) != 0) return fail_errno("write", path);
  return {};
}

class Copier {
 public:
  Copier(int to, const CopyOptions& options) : to_(to), options_(options) {}

  Result<void> visit(const TreeEntry& entry) {
    for (const std::string& below : left_out_)
      if (entry.path.starts_with(below)) return {};
    ++done.files;
    switch (entry.info.st_mode & S_IFMT) {
      case S_IFDIR: return directory(entry);
      case S_IFREG: return regular(entry);
      case S_IFLNK: return link(entry);
      default:
        return fail(EINVAL, "copy: " + entry.path +
                                " is a device, FIFO or socket; an image's "
                                "version has none");
    }
  }

  /// Directories' times, once nothing is made in them any more.
  Result<void> finish() {
    for (auto one = times_.rbegin(); one != times_.rend(); ++one)
      if (::utimensat(to_, one->first.c_str(), one->second.data(), AT_SYMLINK_NOFOLLOW) != 0)
        return fail_errno("set the times of", one->first);
    return {};
  }

  Copied done;

 private:
  using Times = std::array<timespec, 2>;
  static Times times_of(const struct stat& info) { return {info.st_atim, info.st_mtim}; }

  Result<void> directory(const TreeEntry& entry) {
    if (::mkdirat(to_, entry.path.c_str(), 0700) != 0) return fail_errno("make", entry.path);
    const UniqueFd from(::openat(entry.directory, entry.name.c_str(),
                                 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    const UniqueFd made(
        ::openat(to_, entry.path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!from || !made) return fail_errno("open", entry.path);
    PANAL_TRY(dress(from.get(), made.get(), entry));
    times_.emplace_back(entry.path, times_of(entry.info));
    if (options_.leave_empty && options_.leave_empty(entry.path))
      left_out_.push_back(entry.path + "/");
    return {};
  }

  Result<void> regular(const TreeEntry& entry) {
    const UniqueFd from(
        ::openat(entry.directory, entry.name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    const UniqueFd made(
        ::openat(to_, entry.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!from || !made) return fail_errno("copy", entry.path);
    done.bytes += static_cast<std::uint64_t>(entry.info.st_size);
    if (options_.reflink && entry.info.st_size > 0 && !refused_ &&
        ::ioctl(made.get(), FICLONE, from.get()) == 0) {
      done.reflinked = true;
    } else {
      // Asked once for a tree that is on another file system, or on one that cannot.
      if (!done.reflinked && entry.info.st_size > 0) refused_ = true;
      PANAL_TRY(
          copy_data(from.get(), made.get(), entry.info.st_size, options_.reflink, entry.path));
    }
    PANAL_TRY(dress(from.get(), made.get(), entry));
    const Times times = times_of(entry.info);
    if (::futimens(made.get(), times.data()) != 0) return fail_errno("set times", entry.path);
    return {};
  }

  Result<void> link(const TreeEntry& entry) {
    std::string target(static_cast<std::size_t>(entry.info.st_size) + 1, '\0');
    const ssize_t length =
        ::readlinkat(entry.directory, entry.name.c_str(), target.data(), target.size());
    if (length < 0) return fail_errno("read the link", entry.path);
    target.resize(static_cast<std::size_t>(length));
    if (::symlinkat(target.c_str(), to_, entry.path.c_str()) != 0)
      return fail_errno("make the link", entry.path);
    if (::fchownat(to_, entry.path.c_str(), entry.info.st_uid, entry.info.st_gid,
                   AT_SYMLINK_NOFOLLOW) != 0)
      return fail_errno("chown", entry.path);
    const Times times = times_of(entry.info);
    if (::utimensat(to_, entry.path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0)
      return fail_errno("set times", entry.path);
    return {};
  }

 public:
  /// Owner first: it takes set-id bits and capabilities away; the mode last.
  static Result<void> dress(int from, int made, const TreeEntry& entry) {
    if (::fchown(made, entry.info.st_uid, entry.info.st_gid) != 0)
      return fail_errno("chown", entry.path);
    PANAL_TRY(copy_xattrs(from, made, entry.path));
    if (::fchmod(made, entry.info.st_mode & 07777) != 0) return fail_errno("chmod", entry.path);
    return {};
  }

 private:
  int to_;
  const CopyOptions& options_;
  bool refused_ = false;
  std::vector<std::pair<std::string, Times>> times_;
  std::vector<std::string> left_out_;
};

}  // namespace

Result<Copied> copy_tree(const std::string& from, const std::string& to,
                         const CopyOptions& options) {
  const UniqueFd source(::open(from.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!source) return fail_errno("open", from);
  if (::mkdir(to.c_str(), 0700) != 0) return fail_errno("make directory", to);
  const UniqueFd target(::open(to.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!target) return fail_errno("open", to);
  TreeEntry top;
  top.path = ".";
  if (::fstat(source.get(), &top.info) != 0) return fail_errno("stat", from);
  Copier copier(target.get(), options);
  auto walked = walk_tree(from, [&](const TreeEntry& entry) { return copier.visit(entry); });
  if (!walked) return prefixed("copy " + from, walked.error());
  PANAL_TRY(copier.finish());
  PANAL_TRY(Copier::dress(source.get(), target.get(), top));
  const timespec times[2] = {top.info.st_atim, top.info.st_mtim};
  if (::futimens(target.get(), times) != 0) return fail_errno("set the times of", to);
  return copier.done;
}

Result<bool> can_reflink(const std::string& directory) {
  std::string names[2] = {directory + "/.reflink-XXXXXX", directory + "/.reflink-XXXXXX"};
  UniqueFd files[2];
  Cleanup remove;
  for (int i = 0; i < 2; ++i) {
    files[i] = UniqueFd(::mkostemp(names[i].data(), O_CLOEXEC));
    if (!files[i]) return fail_errno("create", names[i]);
    remove.push([name = names[i]] { (void)::unlink(name.c_str()); });
  }
  const std::string block(4096, 'x');
  if (::write(files[0].get(), block.data(), block.size()) != static_cast<ssize_t>(block.size()))
    return fail_errno("write", names[0]);
  return ::ioctl(files[1].get(), FICLONE, files[0].get()) == 0;
}

}  // namespace panal::storage
