#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/base/result.h"

namespace panal::bench {

/// What two trees cost in page cache when they are kept otherwise than in the repository; both are
/// read whole, from a cold cache. `directory` is new and has room for four copies of a tree. Of the
/// result, flat, as a figure's details are shown:
///   separate_trees_cache_two_mib, separate_trees_cache_ratio: a copy of each
///   erofs_images_cache_two_mib, erofs_images_cache_ratio: an erofs image of each, uncompressed,
///     on loop devices with direct I/O (what of the image file itself might be cached is not
///     counted), erofs_image_mib; or erofs_images: "skipped: " and why
/// Errors: what making, mounting or reading them says. No mkfs.erofs, no erofs or no loop devices
/// is no error.
[[nodiscard]] Result<nlohmann::json> page_cache_of_peers(const std::string& directory,
                                                         const std::string& first,
                                                         const std::string& second);

}  // namespace panal::bench
