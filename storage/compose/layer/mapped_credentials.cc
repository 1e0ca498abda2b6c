#include "storage/compose/layer/mapped_credentials.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace panal::storage {

Result<void> assume_mapped_credentials(std::uint32_t id) {
  // Raw calls: glibc's setuid family changes all threads. setfsuid(2) reports no errors, so the
  // value is read back.
  ::syscall(SYS_setfsgid, id);
  ::syscall(SYS_setfsuid, id);
  if (::syscall(SYS_setfsuid, -1) != static_cast<long>(id) ||
      ::syscall(SYS_setfsgid, -1) != static_cast<long>(id))
    return fail(EPERM, "setfsuid " + std::to_string(id));
  // Leaving fsuid 0 took the file capabilities out of the effective set (capabilities(7)); the
  // overlay needs them to copy files up that belong to other users.
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
  if (::syscall(SYS_capget, &header, data) != 0) return fail_errno("capget");
  for (auto& word : data) word.effective = word.permitted;
  if (::syscall(SYS_capset, &header, data) != 0) return fail_errno("capset");
  return {};
}

}  // namespace panal::storage
