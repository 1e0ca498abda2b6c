#include "storage/transfer/budget.h"

#include <string>

namespace panal::storage {

Result<void> PullGuard::look(std::chrono::milliseconds waited, std::uint64_t bytes,
                             std::uint64_t objects) {
  if (bytes > budget_.bytes)
    return fail(EFBIG, "the server sends more than the " + std::to_string(budget_.bytes >> 20U) +
                           " MiB that this pull may take in all");
  const std::uint64_t progress = bytes + kObjectWorthBytes * objects;
  if (progress >= mark_ + kLeastProgressBytes) {
    mark_ = progress;
    waited_ = {};
    return {};
  }
  waited_ += waited;
  if (waited_ < budget_.quiet) return {};
  return fail(ETIMEDOUT, "the server sent next to nothing for " +
                             std::to_string(budget_.quiet.count() / 1000) + " s");
}

}  // namespace panal::storage
