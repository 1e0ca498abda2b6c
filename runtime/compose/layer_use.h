#pragma once

#include <optional>
#include <string>

#include "runtime/config/config.h"

namespace panal::compose {

/// Where a node's configuration has a version as a layer over another image's versions.
struct LayerUse {
  std::string image;  ///< whose desktops have the layer
  std::string layer;  ///< as it is written there
};

/// The first image of [compose] layers that has this version as one: as IMAGE/VERSION, or by a path
/// that leads into the version's tree, through links too. nullopt: none has. The database knows
/// nothing of it, as layers are a node's own business.
[[nodiscard]] std::optional<LayerUse> layer_use(const config::Config& config,
                                                const std::string& image,
                                                const std::string& version);

}  // namespace panal::compose
