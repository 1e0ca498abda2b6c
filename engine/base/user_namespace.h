#pragma once

#include <cstdint>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal {

/// A user namespace that exists only as a descriptor: what mount_setattr(2) with
/// MOUNT_ATTR_IDMAP and setns(2) want. Users and groups 0..count-1 inside are
/// first..first+count-1 outside.
class UserNamespace {
 public:
  /// Makes one (a child process lives for a millisecond). Needs CAP_SETUID and CAP_SETGID.
  /// Errors: EPERM, ENOSPC at user.max_user_namespaces, EINVAL for an empty range.
  [[nodiscard]] static Result<UserNamespace> create(std::uint32_t first, std::uint32_t count);

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  explicit UserNamespace(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace panal
