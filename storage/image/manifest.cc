#include <nlohmann/json.hpp>

#include "storage/image/image_store.h"

namespace panal::storage {

std::string print_manifest(const VersionManifest& manifest) {
  nlohmann::ordered_json packages = nlohmann::ordered_json::object();
  for (const auto& [name, version] : manifest.packages) packages[name] = version;
  const nlohmann::ordered_json document = {
      {"format", 1},
      {"image", manifest.image},
      {"version", manifest.version},
      {"recipe_digest", manifest.recipe_digest},
      {"created_unix_s", manifest.created_unix_s},
      {"size_bytes", manifest.size_bytes},
      {"session", manifest.session},
      {"browser_sandbox", manifest.browser_sandbox},
      {"packages", std::move(packages)},
  };
  return document.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Result<VersionManifest> parse_manifest(const std::string& text, const std::string& file) {
  try {
    const auto document = nlohmann::json::parse(text);
    // A number with a point or an exponent would be cut to a whole one, whatever its size.
    for (const char* key : {"format", "created_unix_s", "size_bytes"})
      if (!document.at(key).is_number_integer())
        return fail(EPROTO, file + ": damaged manifest: " + key + " is no whole number");
    if (const auto format = document.at("format").get<std::int64_t>(); format != 1)
      return fail(EPROTO, file + ": made by a newer Panal (format " + std::to_string(format) + ")");
    if (!document.at("size_bytes").is_number_unsigned())
      return fail(EPROTO, file + ": damaged manifest: size_bytes is below zero");
    VersionManifest manifest;
    manifest.image = document.at("image").get<std::string>();
    manifest.version = document.at("version").get<std::string>();
    manifest.recipe_digest = document.at("recipe_digest").get<std::string>();
    manifest.created_unix_s = document.at("created_unix_s").get<std::int64_t>();
    manifest.size_bytes = document.at("size_bytes").get<std::uint64_t>();
    manifest.session = document.at("session").get<std::vector<std::string>>();
    manifest.browser_sandbox = document.at("browser_sandbox").get<bool>();
    for (const auto& [name, version] : document.at("packages").items())
      manifest.packages.emplace_back(name, version.get<std::string>());
    return manifest;
  } catch (const nlohmann::json::exception& problem) {
    return fail(EPROTO, file + ": damaged manifest: " + problem.what());
  }
}

}  // namespace panal::storage
