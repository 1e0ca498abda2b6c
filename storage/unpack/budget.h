#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"

namespace panal::storage::unpack {

/// What an archive may still use up. The stream (decompressed) and the files count apart: a
/// sparse file is large without a byte in the stream, and a header is in no file.
class Budget {
 public:
  Budget(std::uint64_t bytes, std::uint64_t entries)
      : bytes_(bytes),
        stream_left_(bytes),
        files_left_(bytes),
        entries_(entries),
        entries_left_(entries) {}

  /// Errors of all: EFBIG, with the limit in words.
  [[nodiscard]] Result<void> take_stream(std::uint64_t bytes) {
    if (bytes > stream_left_)
      return fail(EFBIG, "the archive unpacks to more than " + std::to_string(bytes_) + " bytes");
    stream_left_ -= bytes;
    return {};
  }
  [[nodiscard]] Result<void> take_file(std::uint64_t bytes, const std::string& name) {
    if (bytes > files_left_)
      return fail(EFBIG, name + " of " + std::to_string(bytes) +
                             " bytes would bring the files to more than " + std::to_string(bytes_) +
                             " bytes");
    files_left_ -= bytes;
    return {};
  }
  [[nodiscard]] Result<void> take_entry() {
    if (entries_left_ == 0)
      return fail(EFBIG, "the archive has more than " + std::to_string(entries_) + " entries");
    --entries_left_;
    return {};
  }

 private:
  std::uint64_t bytes_;
  std::uint64_t stream_left_;
  std::uint64_t files_left_;
  std::uint64_t entries_;
  std::uint64_t entries_left_;
};

}  // namespace panal::storage::unpack
