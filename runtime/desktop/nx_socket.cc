#include "runtime/desktop/nx_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "engine/base/kernel_paths.h"

namespace panal::desktop {

Result<UniqueFd> connect_beneath(const std::string& shared_dir, const std::string& relative,
                                 std::uint32_t owner) {
  const std::string path = shared_dir + "/" + relative;
  const UniqueFd dir(::open(shared_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return fail_errno("open", shared_dir);
  open_how how{};
  how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  const UniqueFd object(
      static_cast<int>(::syscall(SYS_openat2, dir.get(), relative.c_str(), &how, sizeof how)));
  if (!object) {
    if (errno == ELOOP || errno == EXDEV)
      return fail(EPERM, path + " is behind a link, which a desktop may not put there");
    return fail_errno("open", path);
  }
  struct stat info{};
  if (::fstat(object.get(), &info) != 0) return fail_errno("stat", path);
  if (!S_ISSOCK(info.st_mode))
    return fail(EPERM, fmt::format("{} is not a socket (mode {:o})", path, info.st_mode));
  if (info.st_uid != owner)
    return fail(EPERM, fmt::format("{} belongs to uid {}, not to the session's user {}", path,
                                   info.st_uid, owner));

  UniqueFd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!connection) return fail_errno("socket");
  // A socket inode opened O_PATH is connected to through proc's link of the descriptor.
  const std::string link = fmt::format("{}/{}", kernel_paths::kProcSelfFd, object.get());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, link.c_str(), link.size() + 1);
  if (::connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno("connect", path);
  return connection;
}

}  // namespace panal::desktop
