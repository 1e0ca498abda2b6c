#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "storage/unpack/report.h"

namespace panal::storage::unpack {

enum class SourceKind { kAuto, kTar, kOci };

struct UnpackOptions {
  SourceKind kind = SourceKind::kAuto;
  std::string reference;
  bool leave_out_special = false;
  std::uint64_t limit_bytes = 0;
  std::uint64_t limit_entries = 0;
  std::uint64_t input_bytes = 0;  ///< about; 0: not known
  int input = 0;                  ///< descriptor the archive comes from
  std::string tree_dir;           ///< an empty directory to fill
  std::string layout_dir;         ///< an empty directory for the files of an OCI layout
};

/// Where panal-unpack finds its two directories; the rest of what it sees is taken from it.
inline constexpr const char* kBuildDir = "/tmp/build";
inline constexpr const char* kTreeDir = "tree";      ///< below kBuildDir
inline constexpr const char* kLayoutDir = "layout";  ///< below kBuildDir
inline constexpr const char* kProgramDir = "program";

/// The command line of panal-unpack for these options, without its name, and back.
/// Errors: EINVAL.
[[nodiscard]] std::vector<std::string> print_options(const UnpackOptions& options);
[[nodiscard]] Result<UnpackOptions> parse_options(const std::vector<std::string>& words);

/// Unpacks all of it. Errors: those of extract_all(), unpack_layout(), find_root(), check_links().
[[nodiscard]] Result<Summary> unpack(const UnpackOptions& options,
                                     const std::function<void(const ReportLine&)>& report);

/// panal-unpack's main: confines itself, unpacks what comes on its standard input, and says on its
/// standard output how it went. Exit status 0, or 1 after an error that was reported.
[[nodiscard]] int unpack_main(const std::vector<std::string>& words);

}  // namespace panal::storage::unpack
