#include "engine/base/open_beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace panal {
namespace {

Result<UniqueFd> open_inside(int tree_fd, const std::string& path, const char* relative,
                             std::uint64_t flags) {
  open_how how{};
  how.flags = flags | O_RDONLY | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, tree_fd, relative, &how, sizeof how)));
  if (!fd) return fail_errno("open", path);
  return fd;
}

}  // namespace

Result<UniqueFd> open_beneath(int tree_fd, const std::string& path) {
  const auto begin = path.find_first_not_of('/');
  if (begin == std::string::npos || path.find('\0') != std::string::npos)
    return fail(EINVAL, "\"" + path + "\" names no file");
  PANAL_ASSIGN(UniqueFd fd, open_inside(tree_fd, path, path.c_str() + begin, O_NONBLOCK));
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return fail_errno("stat", path);
  if (!S_ISREG(info.st_mode)) return fail(EINVAL, path + " is no regular file");
  return fd;
}

Result<UniqueFd> open_directory_beneath(int tree_fd, const std::string& path) {
  if (path.find('\0') != std::string::npos)
    return fail(EINVAL, "\"" + path + "\" names no directory");
  const auto begin = path.find_first_not_of('/');
  const char* relative = begin == std::string::npos ? "." : path.c_str() + begin;
  return open_inside(tree_fd, path, relative, O_DIRECTORY);
}

}  // namespace panal
