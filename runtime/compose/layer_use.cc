#include "runtime/compose/layer_use.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace panal::compose {
namespace {

/// Without links as far as the path exists, and without "..".
std::filesystem::path followed(const std::filesystem::path& path) {
  std::error_code code;
  const auto real = std::filesystem::weakly_canonical(path, code);
  return code ? path.lexically_normal() : real;
}

bool is_in(const std::filesystem::path& path, const std::filesystem::path& dir) {
  return std::mismatch(dir.begin(), dir.end(), path.begin(), path.end()).first == dir.end();
}

}  // namespace

std::optional<LayerUse> layer_use(const config::Config& config, const std::string& image,
                                  const std::string& version) {
  const std::string name = image + "/" + version;
  const auto tree = followed(config.images_dir + "/" + name);
  for (const auto& [over, layers] : config.compose_layers)
    for (const std::string& layer : layers)
      if (layer.starts_with('/') ? is_in(followed(layer), tree) : layer == name)
        return LayerUse{over, layer};
  return std::nullopt;
}

}  // namespace panal::compose
