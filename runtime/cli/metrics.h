#pragma once

#include <string>

#include "runtime/cli/shell.h"

namespace panal::cli {

struct MetricsOptions {
  bool json = false;
  std::string textfile;  ///< written instead of printing; empty: print
};

/// This node's metrics, as panald counts them now (docs/metrics.md).
[[nodiscard]] ExitCode metrics(Shell& shell, const MetricsOptions& options);

/// Puts `text` into `file`, world-readable, so that a reader finds the former text or this one and
/// nothing in between. Errors: those of open(2), write(2), rename(2); the former file stays.
[[nodiscard]] Result<void> replace_file(const std::string& file, const std::string& text);

}  // namespace panal::cli
