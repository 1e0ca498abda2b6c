#include "runtime/desktop/pidfd_info.h"

#include <cstdlib>
#include <string>

#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"

namespace panal::desktop {

Result<Pidfd> pidfd_with_pid(UniqueFd fd) {
  PANAL_ASSIGN(const Dir info, Dir::open(kernel_paths::kProcSelfFdinfo));
  PANAL_ASSIGN(const std::string text, info.read(std::to_string(fd.get())));
  const std::size_t at = text.find("\nPid:");
  if (at == std::string::npos) return fail(EINVAL, "the descriptor is not a pidfd");
  const long pid = std::strtol(text.c_str() + at + 5, nullptr, 10);
  if (pid <= 0) return fail(ESRCH, "the process behind a pidfd has ended");
  return Pidfd(std::move(fd), static_cast<pid_t>(pid));
}

}  // namespace panal::desktop
