#include "runtime/cli/image_refs.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/log.h"
#include "runtime/cli/nearest.h"

namespace panal::cli {

Result<ImageWord> split_image_word(std::string_view word) {
  const auto colon = word.find(':');
  ImageWord out{std::string(word.substr(0, colon)),
                colon == std::string_view::npos ? "" : std::string(word.substr(colon + 1))};
  const auto letter_or_digit = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  const auto plain = [&](const std::string& text) {
    return !text.empty() && text.size() <= 128 && letter_or_digit(text.front()) &&
           std::all_of(text.begin(), text.end(), [&](char c) {
             return letter_or_digit(c) || c == '.' || c == '_' || c == '-';
           });
  };
  if (plain(out.image) && (colon == std::string_view::npos || plain(out.name))) return out;
  return fail(EINVAL, fmt::format("'{}' names no image: give IMAGE, IMAGE:VERSION or IMAGE:TAG",
                                  printable(word, 200)));
}

Result<ImageCatalog> ImageCatalog::read(store::Store& store) {
  ImageCatalog catalog;
  PANAL_ASSIGN(catalog.images, store.images());
  PANAL_ASSIGN(catalog.versions, store.versions());
  PANAL_ASSIGN(catalog.tags, store.tags());
  return catalog;
}

Result<store::Image> ImageCatalog::image(const std::string& name) const {
  std::vector<std::string> known;
  for (const store::Image& one : images) {
    if (one.name == name) return one;
    known.push_back(one.name);
  }
  std::string hint = did_you_mean(name, known);
  if (hint.empty()) hint = "; panal image ls shows all, panal image build makes one";
  return fail(ENOENT, fmt::format("there is no image {}{}", printable(name, 128), hint));
}

Result<store::Version> ImageCatalog::resolve(const std::string& word,
                                             const std::string& bare) const {
  PANAL_ASSIGN(const ImageWord parts, split_image_word(word));
  PANAL_TRY(image(parts.image));
  const std::string name = parts.name.empty() ? bare : parts.name;
  if (const store::Version* version = find(parts.image, name)) return *version;
  if (const store::Version* version = find(parts.image, at(parts.image, name))) return *version;
  std::vector<std::string> known;
  for (const store::Version& one : versions)
    if (one.image == parts.image) known.push_back(one.version);
  for (const store::Tag& one : tags)
    if (one.image == parts.image) known.push_back(one.tag);
  if (parts.name.empty())
    return fail(ENOENT, fmt::format("image {} has no version that is {} yet", parts.image, bare));
  return fail(ENOENT, fmt::format("image {} has no version or tag {}{}", parts.image,
                                  printable(name, 128), did_you_mean(name, known)));
}

std::string ImageCatalog::at(const std::string& image, const std::string& tag) const {
  const auto found = std::find_if(tags.begin(), tags.end(), [&](const store::Tag& one) {
    return one.image == image && one.tag == tag;
  });
  return found == tags.end() ? "" : found->version;
}

std::vector<std::string> ImageCatalog::tags_of(const std::string& image,
                                               const std::string& version) const {
  std::vector<std::string> out;
  for (const store::Tag& one : tags)
    if (one.image == image && one.version == version) out.push_back(one.tag);
  return out;
}

const store::Version* ImageCatalog::find(const std::string& image,
                                         const std::string& version) const {
  const auto found = std::find_if(versions.begin(), versions.end(), [&](const store::Version& one) {
    return one.image == image && one.version == version;
  });
  return found == versions.end() ? nullptr : &*found;
}

}  // namespace panal::cli
