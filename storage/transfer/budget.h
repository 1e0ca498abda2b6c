#pragma once

#include <chrono>
#include <cstdint>

#include "engine/base/result.h"

namespace panal::storage {

/// What a pull may cost. An archive's server may be anybody's.
struct PullBudget {
  std::uint64_t bytes = std::uint64_t{16} << 30U;        ///< in all, as sent and as stored
  std::uint64_t object_bytes = std::uint64_t{4} << 30U;  ///< of one object, as sent and as stored
  /// Longest wait for kLeastProgress: a server that sends a byte now and then has stopped as well.
  std::chrono::milliseconds quiet{60'000};
};

/// Less than this within `quiet` is no progress. A directory's object is some 100 bytes, and the
/// slowest link we care for brings more than one in a second.
inline constexpr std::uint64_t kLeastProgressBytes = 4096;
/// What an object counts for besides its bytes: its request and its headers.
inline constexpr std::uint64_t kObjectWorthBytes = 256;

/// Watches what comes. Pure: it is told the time that was spent waiting, so that what the puller
/// itself needs does not count.
class PullGuard {
 public:
  explicit PullGuard(PullBudget budget) : budget_(budget) {}

  /// `bytes` and `objects` came so far (of unfinished objects the bytes), the last `waited` of it
  /// without doing anything else. Errors: EFBIG past the bytes in all, ETIMEDOUT without progress.
  [[nodiscard]] Result<void> look(std::chrono::milliseconds waited, std::uint64_t bytes,
                                  std::uint64_t objects);
  [[nodiscard]] const PullBudget& budget() const { return budget_; }

 private:
  PullBudget budget_;
  std::uint64_t mark_ = 0;
  std::chrono::milliseconds waited_{0};
};

}  // namespace panal::storage
