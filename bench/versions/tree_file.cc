#include "bench/versions/tree_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/open_beneath.h"

namespace panal::bench {
namespace {

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

Result<void> write_all(int fd, const std::string& bytes, const std::string& path) {
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t put = ::write(fd, bytes.data() + at, bytes.size() - at);
    if (put < 0) return fail_errno("write", path);
    at += static_cast<std::size_t>(put);
  }
  return {};
}

}  // namespace

Result<std::optional<TreeFile>> take_file(int root_fd, const std::string& path) {
  const auto fd = open_beneath(root_fd, path);
  if (!fd) {
    const int code = fd.error().code;
    // A link, a directory, or left out of the image.
    if (code == ENOENT || code == ENOTDIR || code == ELOOP || code == EINVAL) return std::nullopt;
    return tl::make_unexpected(fd.error());
  }
  TreeFile out;
  if (::fstat(fd->get(), &out.info) != 0) return fail_errno("look at", path);
  out.bytes.resize(static_cast<std::size_t>(out.info.st_size));
  for (std::size_t at = 0; at < out.bytes.size();) {
    const ssize_t got = ::read(fd->get(), out.bytes.data() + at, out.bytes.size() - at);
    if (got < 0) return fail_errno("read", path);
    if (got == 0) return fail(EIO, "read " + path + ": it became shorter");
    at += static_cast<std::size_t>(got);
  }
  return std::optional(std::move(out));
}

Result<void> put_file(int root_fd, const std::string& path, const TreeFile& file) {
  PANAL_ASSIGN(const UniqueFd directory, open_directory_beneath(root_fd, parent_of(path)));
  const std::string name = name_of(path);
  const std::string aside = name + ".dpkg-new";
  const UniqueFd fd(::openat(directory.get(), aside.c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("create", path);
  PANAL_TRY(write_all(fd.get(), file.bytes, path));
  if (::fchown(fd.get(), file.info.st_uid, file.info.st_gid) != 0) return fail_errno("chown", path);
  if (::fchmod(fd.get(), file.info.st_mode & 07777) != 0) return fail_errno("chmod", path);
  if (::renameat(directory.get(), aside.c_str(), directory.get(), name.c_str()) != 0)
    return fail_errno("rename", path);
  return {};
}

}  // namespace panal::bench
