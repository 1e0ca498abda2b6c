#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::broker {

/// The OS user that workers are.
struct Identity {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;

  /// Becomes that user for good (nothing to do where the process already is it), gives up any way
  /// back (no_new_privs) and lets nobody read its memory. Errors: EPERM.
  [[nodiscard]] Result<void> assume() const;
};

/// Errors: ENOENT with how to make the user; EPERM when the process is neither root nor that user.
[[nodiscard]] Result<Identity> find_identity(const std::string& user);

}  // namespace panal::broker
