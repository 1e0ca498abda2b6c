#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/store/store.h"

namespace panal::cli {

/// IMAGE, IMAGE:VERSION or IMAGE:TAG, as it was typed.
struct ImageWord {
  std::string image;
  std::string name;  ///< version or tag; empty: not said
};
/// Errors: EINVAL with a sentence for anything that can be neither.
[[nodiscard]] Result<ImageWord> split_image_word(std::string_view word);

/// What the database knows of images, read once for one command.
struct ImageCatalog {
  std::vector<store::Image> images;
  std::vector<store::Version> versions;
  std::vector<store::Tag> tags;

  [[nodiscard]] static Result<ImageCatalog> read(store::Store& store);

  /// Errors: ENOENT with the nearest name there is.
  [[nodiscard]] Result<store::Image> image(const std::string& name) const;
  /// The version that a word means; of a bare IMAGE: what tag `bare` names.
  /// Errors: EINVAL; ENOENT with the nearest name there is.
  [[nodiscard]] Result<store::Version> resolve(const std::string& word,
                                               const std::string& bare) const;
  /// Where a tag is; empty: nowhere.
  [[nodiscard]] std::string at(const std::string& image, const std::string& tag) const;
  /// Of one version, in order.
  [[nodiscard]] std::vector<std::string> tags_of(const std::string& image,
                                                 const std::string& version) const;
  /// Null: there is no such version.
  [[nodiscard]] const store::Version* find(const std::string& image,
                                           const std::string& version) const;
};

}  // namespace panal::cli
