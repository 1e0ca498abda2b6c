#pragma once

#include <string>

#include "engine/base/result.h"
#include "runtime/agent/picture.h"

namespace panal::node {

/// The picture as a PNG file's bytes. Errors: EINVAL for one whose pixels are not as many as its
/// size says; EIO with libpng's words.
[[nodiscard]] Result<std::string> png_of(const agent::Picture& picture);

}  // namespace panal::node
