#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace panal::storage::unpack {

/// What panal-unpack found, for the program that started it.
struct Summary {
  bool oci = false;
  std::string digest;                ///< SHA-256 (hex) of the archive, or of the OCI manifest
  std::vector<std::string> session;  ///< OCI: entry point and command
  std::string inner_root;            ///< "rootfs" where the root file system lies in there
  std::uint64_t entries = 0;
  std::uint64_t left_out = 0;
};

/// One line of its output. The reader takes nothing for granted: the archive may have taken the
/// program over.
struct ReportLine {
  enum class Kind { kProgress, kError, kDone } kind = Kind::kProgress;
  unsigned permille = 0;  ///< kProgress: 0..1000
  std::string words;      ///< kProgress, kError
  int code = 0;           ///< kError: errno
  Summary summary;        ///< kDone
};

/// Longest line, with its end: an argv of a session is the longest thing in one.
inline constexpr std::size_t kLongestReport = std::size_t{256} << 10;

/// "progress 412 unpacking layer 2 of 3\n", "error 1 \"dev/null\" is ...\n", "done {...}\n".
[[nodiscard]] std::string print_report(const ReportLine& line);
/// `line` without its end. Errors: EPROTO; words are printable() afterwards.
[[nodiscard]] Result<ReportLine> parse_report(std::string_view line);

}  // namespace panal::storage::unpack
