#pragma once

#include <string>

#include "runtime/cli/shell.h"

namespace panal::cli {

/// Where the recipe `word` is: a file (it has a '/' or ends in .toml), else NAME.toml in the
/// recipes' directory.
[[nodiscard]] std::string recipe_file(const config::Config& config, const std::string& word);

/// Builds the recipe unless its version is there, and registers it with the store as the image's
/// default. Shows progress on shell.out. The image's name goes to `image`, its version to
/// `version`.
[[nodiscard]] ExitCode build_and_register(Shell& shell, const std::string& word, bool force,
                                          std::string* image, std::string* version);

}  // namespace panal::cli
