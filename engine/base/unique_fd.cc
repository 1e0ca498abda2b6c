#include "engine/base/unique_fd.h"

#include <fcntl.h>
#include <unistd.h>

namespace panal {

void UniqueFd::reset() noexcept {
  if (fd_ < 0) return;
  const int saved = errno;  // so that an error path may close before it reports
  ::close(std::exchange(fd_, -1));
  errno = saved;
}

Result<UniqueFd> UniqueFd::duplicate() const {
  UniqueFd copy(::fcntl(fd_, F_DUPFD_CLOEXEC, 0));
  if (!copy) return fail_errno("duplicate a descriptor");
  return copy;
}

}  // namespace panal
