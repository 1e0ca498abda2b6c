#pragma once

#include <functional>
#include <string>

#include "engine/base/result.h"
#include "storage/image/image_store.h"
#include "storage/recipe/recipe.h"

namespace panal::storage {

struct BuildOptions {
  std::string cache_dir;   ///< downloaded .deb files are kept here between builds; may be empty
  std::string log_file;    ///< everything mmdebstrap says
  bool force = false;      ///< build even if a version with this digest exists
};

/// 0..1 and what is being done.
using BuildProgress = std::function<void(double fraction, const std::string& what)>;

/// Builds a version with mmdebstrap in a throw-away user namespace and commits it; returns the
/// existing version where the recipe's digest is already built. On any failure or signal nothing
/// is left but the log. Errors: EPROTO with mmdebstrap's last lines in the context, ENOSPC.
[[nodiscard]] Result<VersionManifest> build_image(const Recipe& recipe, ImageStore& store,
                                                  const BuildOptions& options,
                                                  const BuildProgress& progress);

}  // namespace panal::storage
