#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "engine/base/result.h"
#include "storage/image/image_store.h"
#include "storage/recipe/recipe.h"

namespace panal::storage {

struct BuildOptions {
  std::string cache_dir;  ///< downloaded .deb files are kept here between builds; may be empty
  std::string log_file;   ///< everything mmdebstrap says
  bool force = false;     ///< build even if a version with this digest exists
  std::string message;    ///< why, for `panal image log`; may be empty
  std::string author;     ///< who; may be empty
  /// Set by a signal handler: the build is ended and undone within half a second, ECANCELED.
  const std::atomic<bool>* cancelled = nullptr;
  /// Archive URLs; empty: what the host itself uses for Debian, else deb.debian.org.
  std::string mirror;
  std::string security_mirror;
};

/// 0..1 and what is being done.
using BuildProgress = std::function<void(double fraction, const std::string& what)>;

/// Builds a version with mmdebstrap in a throw-away user namespace and commits it; returns the
/// existing version where the recipe's digest is already built. On any failure nothing is left but
/// the log; what a killed build left is deleted by the next one. Two builds with one cache_dir
/// wait for each other. Gives root its subordinate ids where it has none (the build's own range is
/// the last 65,536 of them, never a desktop's).
/// Errors: EPROTO with mmdebstrap's last lines in the context, ENOSPC, ECANCELED.
[[nodiscard]] Result<VersionManifest> build_image(const Recipe& recipe, ImageStore& store,
                                                  const BuildOptions& options,
                                                  const BuildProgress& progress);

}  // namespace panal::storage
