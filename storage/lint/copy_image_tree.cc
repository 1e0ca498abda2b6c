#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <map>
#include <utility>
#include <vector>

#include "engine/base/file_tree.h"
#include "engine/base/open_beneath.h"
#include "engine/base/unique_fd.h"
#include "storage/lint/repair.h"

namespace panal::storage {
namespace {

constexpr const char* kCapability = "security.capability";

Result<void> copy_bytes(int from, int to, std::uint64_t size, const std::string& path) {
  if (::ioctl(to, FICLONE, from) == 0) return {};
  std::uint64_t left = size;
  while (left > 0) {
    const ssize_t got =
        ::copy_file_range(from, nullptr, to, nullptr, static_cast<std::size_t>(left), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("copy", path);
    if (got == 0) break;
    left -= static_cast<std::uint64_t>(got);
  }
  if (left > 0) return fail(EIO, "copy " + path + ": it is shorter than it was");
  return {};
}

Result<void> copy_capability(int from, int to, const std::string& path) {
  std::array<char, 64> value{};
  const ssize_t length = ::fgetxattr(from, kCapability, value.data(), value.size());
  if (length < 0) {
    if (errno == ENODATA || errno == EOPNOTSUPP) return {};
    return fail_errno("read the capability of", path);
  }
  if (::fsetxattr(to, kCapability, value.data(), static_cast<std::size_t>(length), 0) != 0)
    return fail_errno("set the capability of", path);
  return {};
}

std::array<timespec, 2> times_of(const struct stat& info) { return {info.st_mtim, info.st_mtim}; }

class TreeCopy {
 public:
  TreeCopy(UniqueFd to, const std::atomic<bool>* cancelled, const LintProgress& progress)
      : to_(std::move(to)), cancelled_(cancelled), progress_(progress) {}

  Result<void> take(const TreeEntry& entry) {
    if (cancelled_ != nullptr && cancelled_->load()) return fail(ECANCELED, "the copy");
    if (progress_ && ++count_ % 1000 == 0) progress_(0.3, "copying the tree");
    const auto slash = entry.path.rfind('/');
    const std::string above = slash == std::string::npos ? "" : entry.path.substr(0, slash);
    PANAL_ASSIGN(const UniqueFd parent, open_directory_beneath(to_.get(), above));
    switch (entry.info.st_mode & S_IFMT) {
      case S_IFDIR: return directory(entry, parent.get());
      case S_IFREG: return file(entry, parent.get());
      case S_IFLNK: return link(entry, parent.get());
      default: return fail(EPERM, "/" + entry.path + " is neither file, directory nor link");
    }
  }

  /// Once all is there: what is made in a directory changes its time.
  Result<void> set_times() {
    for (const auto& [path, times] : directories_) {
      PANAL_ASSIGN(const UniqueFd fd, open_directory_beneath(to_.get(), path));
      if (::futimens(fd.get(), times.data()) != 0) return fail_errno("set the time of", path);
    }
    return {};
  }

 private:
  Result<void> directory(const TreeEntry& entry, int parent) {
    const char* name = entry.name.c_str();
    if (::mkdirat(parent, name, 0700) != 0) return fail_errno("make directory", entry.path);
    if (::fchownat(parent, name, entry.info.st_uid, entry.info.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
      return fail_errno("chown", entry.path);
    if (::fchmodat(parent, name, entry.info.st_mode & 07777U, 0) != 0)
      return fail_errno("chmod", entry.path);
    directories_.emplace_back(entry.path, times_of(entry.info));
    return {};
  }

  Result<void> file(const TreeEntry& entry, int parent) {
    const char* name = entry.name.c_str();
    if (entry.info.st_nlink > 1) {
      const auto [known, first] = names_.emplace(entry.info.st_ino, entry.path);
      if (!first) {
        if (::linkat(to_.get(), known->second.c_str(), parent, name, 0) != 0)
          return fail_errno("link", entry.path);
        return {};
      }
    }
    const UniqueFd from(::openat(entry.directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!from) return fail_errno("open", entry.path);
    const UniqueFd made(
        ::openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!made) return fail_errno("create", entry.path);
    PANAL_TRY(copy_bytes(from.get(), made.get(), static_cast<std::uint64_t>(entry.info.st_size),
                         entry.path));
    // The owner first: it takes set-uid bits and capabilities away.
    if (::fchown(made.get(), entry.info.st_uid, entry.info.st_gid) != 0)
      return fail_errno("chown", entry.path);
    if (::fchmod(made.get(), entry.info.st_mode & 07777U) != 0)
      return fail_errno("chmod", entry.path);
    PANAL_TRY(copy_capability(from.get(), made.get(), entry.path));
    const auto times = times_of(entry.info);
    if (::futimens(made.get(), times.data()) != 0) return fail_errno("set the time of", entry.path);
    return {};
  }

  Result<void> link(const TreeEntry& entry, int parent) {
    const char* name = entry.name.c_str();
    std::vector<char> target(static_cast<std::size_t>(entry.info.st_size) + 1);
    const ssize_t length = ::readlinkat(entry.directory, name, target.data(), target.size());
    if (length < 0) return fail_errno("read link", entry.path);
    if (static_cast<std::size_t>(length) == target.size())
      return fail(EIO, "read link " + entry.path + ": it is longer than it was");
    target[static_cast<std::size_t>(length)] = '\0';
    if (::symlinkat(target.data(), parent, name) != 0) return fail_errno("make link", entry.path);
    if (::fchownat(parent, name, entry.info.st_uid, entry.info.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
      return fail_errno("chown", entry.path);
    const auto times = times_of(entry.info);
    if (::utimensat(parent, name, times.data(), AT_SYMLINK_NOFOLLOW) != 0)
      return fail_errno("set the time of", entry.path);
    return {};
  }

  UniqueFd to_;
  const std::atomic<bool>* cancelled_;
  const LintProgress& progress_;
  std::uint64_t count_ = 0;
  std::map<ino_t, std::string> names_;  ///< of files with several
  std::vector<std::pair<std::string, std::array<timespec, 2>>> directories_;
};

}  // namespace

Result<void> copy_image_tree(const std::string& from, const std::string& to,
                             const std::atomic<bool>* cancelled, const LintProgress& progress) {
  struct stat info{};
  if (::stat(from.c_str(), &info) != 0) return fail_errno("stat", from);
  UniqueFd top(::open(to.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!top) return fail_errno("open", to);
  if (::fchown(top.get(), info.st_uid, info.st_gid) != 0) return fail_errno("chown", to);
  if (::fchmod(top.get(), info.st_mode & 07777U) != 0) return fail_errno("chmod", to);
  TreeCopy copy(std::move(top), cancelled, progress);
  PANAL_TRY(walk_tree(from, [&copy](const TreeEntry& entry) { return copy.take(entry); }));
  return copy.set_times();
}

}  // namespace panal::storage
