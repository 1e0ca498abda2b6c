#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "engine/base/result.h"
#include "storage/lint/scan.h"

/// For this folder: contents of files, read within a budget.
namespace panal::storage::lint {

/// What a scan has left of its budget. ECANCELED and EDQUOT (the budget) end a scan.
class Reading {
 public:
  explicit Reading(const ScanBudget& budget)
      : budget_(budget), deadline_(std::chrono::steady_clock::now() + budget.most_time) {}

  /// Before each file. Errors: ECANCELED, EDQUOT with what is used up.
  [[nodiscard]] Result<void> take_file();
  /// Before each read. Errors: as above.
  [[nodiscard]] Result<void> take_bytes(std::uint64_t bytes);

 private:
  [[nodiscard]] Result<void> look() const;

  const ScanBudget& budget_;
  std::chrono::steady_clock::time_point deadline_;
  std::uint64_t files_ = 0;
  std::uint64_t bytes_ = 0;
};

/// SHA-256 of an open file, in hex. Errors: EIO; those of Reading.
[[nodiscard]] Result<std::string> content_digest(int fd, Reading& reading);
/// Whether two open files of this size hold the same bytes. Errors: as above.
[[nodiscard]] Result<bool> same_content(int a, int b, std::uint64_t size, Reading& reading);

}  // namespace panal::storage::lint
