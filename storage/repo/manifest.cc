#include "storage/repo/manifest.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace panal::storage {
namespace {

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

/// A text that older manifests do not have.
std::string optional_text(const nlohmann::json& document, const char* key) {
  const auto found = document.find(key);
  return found == document.end() ? std::string() : found->get<std::string>();
}

}  // namespace

bool is_plain_name(const std::string& name) {
  if (name.empty() || name.size() > 128) return false;
  if (name.front() == '.' || name.front() == '-' || name.front() == '_') return false;
  return std::all_of(name.begin(), name.end(), is_name_character);
}

bool is_checksum(const std::string& text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::pair<std::string, unsigned long> version_key(const std::string& version) {
  const auto dash = version.rfind('-');
  if (dash == std::string::npos) return {version, 0};
  unsigned long number = 0;
  std::from_chars(version.data() + dash + 1, version.data() + version.size(), number);
  return {version.substr(0, dash), number};
}

bool is_listed_before(const VersionManifest& a, const VersionManifest& b) {
  if (a.image != b.image) return a.image < b.image;
  return version_key(a.version) > version_key(b.version);
}

std::string print_manifest(const VersionManifest& manifest) {
  nlohmann::ordered_json packages = nlohmann::ordered_json::object();
  for (const auto& [name, version] : manifest.packages) packages[name] = version;
  nlohmann::ordered_json document = {
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
  const std::pair<const char*, const std::string*> optional[] = {{"commit", &manifest.commit},
                                                                 {"parent", &manifest.parent},
                                                                 {"message", &manifest.message},
                                                                 {"author", &manifest.author}};
  for (const auto& [key, value] : optional)
    if (!value->empty()) document[key] = *value;
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
    manifest.commit = optional_text(document, "commit");
    manifest.parent = optional_text(document, "parent");
    manifest.message = optional_text(document, "message");
    manifest.author = optional_text(document, "author");
    for (const std::string* checksum : {&manifest.commit, &manifest.parent})
      if (!checksum->empty() && !is_checksum(*checksum))
        return fail(EPROTO, file + ": damaged manifest: \"" + *checksum + "\" is no checksum");
    return manifest;
  } catch (const nlohmann::json::exception& problem) {
    return fail(EPROTO, file + ": damaged manifest: " + problem.what());
  }
}

}  // namespace panal::storage
