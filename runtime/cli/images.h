#pragma once

#include <string>

#include "runtime/cli/shell.h"
#include "storage/repo/manifest.h"

namespace panal::cli {

/// Where the recipe `word` is: a file (it has a '/' or ends in .toml), else NAME.toml in the
/// recipes' directory.
[[nodiscard]] std::string recipe_file(const config::Config& config, const std::string& word);

/// Builds the recipe unless its version is there, and registers it with the store. Shows progress
/// on shell.out. The image's name goes to `image`, its version to `version`.
[[nodiscard]] ExitCode build_and_register(Shell& shell, const std::string& word, bool force,
                                          std::string* image, std::string* version);

/// What a new version is registered with besides its manifest.
struct Registration {
  std::string description;  ///< of the image; empty: as it is
  std::string message;      ///< where the manifest has none
  bool publish = false;     ///< `default` moves to it; else only where there is none yet
};
/// Registers a version that is on this node's disk (idempotent), and says what it is now. It gets
/// `default` only after a good trial start. Connections of its own: what comes before may take
/// longer than an idle one is allowed to.
[[nodiscard]] ExitCode register_version(Shell& shell, const storage::VersionManifest& manifest,
                                        const Registration& how);

/// Deletes this node's copies of versions whose removal is written down, tells of each. What was
/// removed goes to `removed` (may be null). Errors: those of the store and of the disk.
[[nodiscard]] Result<void> agree_with_removals(Shell& shell, store::Store& store, bool dry_run,
                                               std::size_t* removed);

}  // namespace panal::cli
