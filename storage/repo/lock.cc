#include "storage/repo/lock.h"

#include <fcntl.h>
#include <poll.h>

#include <string>

namespace panal::storage {
namespace {

constexpr std::chrono::milliseconds kStep{50};

}  // namespace

Result<FileLock> FileLock::take(int directory, const char* name, Kind kind,
                                std::chrono::milliseconds wait, const Work& work) {
  UniqueFd fd(::openat(directory, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail_errno("open lock", name);
  const auto until = std::chrono::steady_clock::now() + wait;
  for (;;) {
    struct flock wanted{};
    wanted.l_type = kind == Kind::kExclusive ? F_WRLCK : F_RDLCK;
    wanted.l_whence = SEEK_SET;
    if (::fcntl(fd.get(), F_OFD_SETLK, &wanted) == 0) return FileLock(std::move(fd));
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) return fail_errno("lock", name);
    if (work.is_cancelled()) return fail(ECANCELED, "cancelled");
    if (std::chrono::steady_clock::now() >= until)
      return fail(EBUSY, std::string("the repository is in use by another program (") + name + ")");
    // F_OFD_SETLKW could be ended neither by a time nor by the flag.
    (void)::poll(nullptr, 0, static_cast<int>(kStep.count()));
  }
}

}  // namespace panal::storage
