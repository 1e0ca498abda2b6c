#pragma once

#include <chrono>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "storage/repo/work.h"

namespace panal::storage {

/// A lock on a file, gone with this object or its process. Open file description locks, as
/// libostree takes them: exclusive on .lock excludes its transactions, in this process too.
/// fcntl(2) F_OFD_SETLK, Linux 3.15.
class FileLock {
 public:
  enum class Kind { kShared, kExclusive };
  /// Waits up to `wait` for it. Errors: EBUSY after that, ECANCELED, those of open(2).
  [[nodiscard]] static Result<FileLock> take(int directory, const char* name, Kind kind,
                                             std::chrono::milliseconds wait, const Work& work);

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace panal::storage
