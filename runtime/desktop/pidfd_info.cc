#include "runtime/desktop/pidfd_info.h"

#include <string>

#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"
#include "engine/kernel/small_text.h"

namespace panal::desktop {

Result<Pidfd> pidfd_with_pid(UniqueFd fd) {
  PANAL_ASSIGN(const Dir info, Dir::open(kernel_paths::kProcSelfFdinfo));
  PANAL_ASSIGN(const std::string text, info.read(std::to_string(fd.get())));
  PANAL_ASSIGN(const auto pid, kernel::parse_pidfd_entry(text));
  if (!pid) return fail(ESRCH, "the process behind a pidfd has ended");
  return Pidfd(std::move(fd), *pid);
}

}  // namespace panal::desktop
