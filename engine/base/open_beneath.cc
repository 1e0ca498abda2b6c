#include "engine/base/open_beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace panal {

Result<UniqueFd> open_beneath(int tree_fd, const std::string& path) {
  const auto begin = path.find_first_not_of('/');
  if (begin == std::string::npos || path.find('\0') != std::string::npos)
    return fail(EINVAL, "\"" + path + "\" names no file");
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  UniqueFd fd(static_cast<int>(
      ::syscall(SYS_openat2, tree_fd, path.c_str() + begin, &how, sizeof how)));
  if (!fd) return fail_errno("open", path);
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return fail_errno("stat", path);
  if (!S_ISREG(info.st_mode)) return fail(EINVAL, path + " is no regular file");
  return fd;
}

}  // namespace panal
