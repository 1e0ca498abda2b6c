#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "storage/warm/hot_pages.h"

namespace panal::storage {

struct WarmReport {
  std::uint64_t hot_bytes = 0;       ///< of the record, as far as it was gone through
  std::uint64_t resident_bytes = 0;  ///< of these, what was in the cache already
  std::uint64_t read_bytes = 0;      ///< what had to be read
  std::uint64_t missing_files = 0;   ///< the tree has no such file
  std::uint64_t failed_files = 0;    ///< could not be read: see `panal image verify`
  bool complete = false;             ///< to the record's end; else a budget ended it, or it goes on

  [[nodiscard]] bool operator==(const WarmReport&) const = default;
};

/// Brings the pages of a record into the page cache, piece by piece, so that the caller decides how
/// fast and how long. They are charged to the memory group of the process that runs this. Only what
/// is not there is read. The record may be another version's of the same image: files of the same
/// path, as far as the tree has them.
class WarmRun {
 public:
  /// `most_bytes`: of hot pages, those already there counted too.
  /// Errors: those of opening `root`.
  [[nodiscard]] static Result<WarmRun> begin(const std::string& root, HotPages pages,
                                             std::uint64_t most_bytes);

  /// Reads `bytes`, up to a whole page; less only at the end. What it could not read is counted,
  /// never an error. Returns how many.
  std::uint64_t step(std::uint64_t bytes);
  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] const WarmReport& report() const { return report_; }
  /// 0..1 of the record's bytes.
  [[nodiscard]] double fraction() const;

 private:
  WarmRun(UniqueFd root, HotPages pages, std::uint64_t most_bytes);
  /// Opens the next file that lacks pages. False: there is none.
  [[nodiscard]] bool open_next();
  void look_at(const HotFile& file);
  [[nodiscard]] std::uint64_t read_piece(std::uint64_t most_bytes);

  UniqueFd root_;
  HotPages pages_;
  std::uint64_t page_bytes_ = 4096;  ///< this kernel's
  std::uint64_t record_bytes_ = 0;
  std::uint64_t left_bytes_ = 0;  ///< of most_bytes
  std::size_t next_file_ = 0;
  UniqueFd file_;
  PageRanges wanted_;  ///< of file_
  std::size_t next_range_ = 0;
  std::vector<char> buffer_;
  WarmReport report_;
  bool cut_ = false;  ///< most_bytes ended within a file
  bool done_ = false;
};

}  // namespace panal::storage
