#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::storage {

/// How an image is made: TOML, see recipes/*.toml and docs/images.md.
struct Recipe {
  std::string name;  ///< image name, [a-z0-9-]
  std::string description;
  std::string suite = "bookworm";
  std::vector<std::string> packages;  ///< sorted, without duplicates
  std::vector<std::string> session;   ///< argv of the X session
  std::string locale = "C.UTF-8";     ///< generated locales, first = default
  std::vector<std::string> locales;
  std::vector<std::pair<std::string, std::string>> files;  ///< path in the image -> text
  std::vector<std::string> remove;                         ///< globs deleted at the end
  bool browser_sandbox = false;
};

/// Errors: EPROTO "file:line: what is wrong"; an unknown key is an error.
[[nodiscard]] Result<Recipe> parse_recipe(const std::string& text, const std::string& file);

/// SHA-256 (hex) of the recipe in a normal form: what decides whether a version is up to date.
[[nodiscard]] std::string digest(const Recipe& recipe);

}  // namespace panal::storage
