#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/child_process.h"
#include "engine/base/result.h"

namespace panal {

/// Where a program's standard error goes.
enum class ChildErrors { kApart, kWithOutput, kNowhere };

struct RunOptions {
  std::string_view input = {};  ///< its standard input, which it may leave unread
  ChildErrors errors = ChildErrors::kApart;
  /// Of its output, and of its errors where they are apart.
  std::size_t most_bytes = std::size_t{1} << 20U;
  bool keep_end = false;  ///< past `most_bytes` only the end is kept; false: E2BIG
  std::optional<std::chrono::milliseconds> limit = {};  ///< none: as long as it takes
};

/// What a program said, and how it ended.
struct ChildOutput {
  ChildEnd end = {};
  std::string output = {};
  std::string errors = {};  ///< where they are apart
};

/// Runs a program to its end, however it ends: that is no error. 0, 1 and 2 of its descriptors are
/// given by `options`. What it has left behind to run on is not waited for, though it may hold the
/// pipes: what that says after the program's end is not heard.
/// Errors: those of ChildProcess::start(); ETIMEDOUT past the limit and E2BIG past the bytes, with
/// the program's name (it is killed, what it has started is not); those of memfd_create(2).
[[nodiscard]] Result<ChildOutput> run_child(ChildCommand command, const RunOptions& options = {});

}  // namespace panal
