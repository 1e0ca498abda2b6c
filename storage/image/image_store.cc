#include "storage/image/image_store.h"

#include <algorithm>

#include "engine/base/tree.h"

/// Only what reads: programs that do no more, panald before all, then need no libostree.
namespace panal::storage {

Result<std::vector<VersionManifest>> ImageStore::list() const {
  std::vector<VersionManifest> all;
  auto images = Dir::open(images_dir_);
  if (!images) {
    if (images.error().code == ENOENT) return all;
    return tl::make_unexpected(images.error());
  }
  PANAL_ASSIGN(const auto names, images->list());
  for (const auto& image : names) {
    if (!is_plain_name(image)) continue;
    auto versions = images->list(image);
    if (!versions) {
      if (versions.error().code == ENOTDIR || versions.error().code == ENOENT) continue;
      return tl::make_unexpected(versions.error());
    }
    for (const auto& version : *versions) {
      if (!is_plain_name(version)) continue;
      const std::string file = image + "/" + version + "/manifest.json";
      auto text = images->read(file, kMostManifestBytes);
      if (!text && text.error().code == ENOENT && !images->exists(image + "/" + version))
        continue;  // removed while we looked
      if (!text) return tl::make_unexpected(text.error());
      PANAL_ASSIGN(auto manifest, parse_manifest(*text, images_dir_ + "/" + file));
      if (manifest.image != image || manifest.version != version)
        return fail(EPROTO, images_dir_ + "/" + file + ": is the manifest of " + manifest.image +
                                " " + manifest.version);
      all.push_back(std::move(manifest));
    }
  }
  std::sort(all.begin(), all.end(), is_listed_before);
  return all;
}

Result<VersionManifest> ImageStore::find(const std::string& image,
                                         const std::string& version) const {
  const std::string path = images_dir_ + "/" + image + "/" + version;
  const Failure absent = fail(ENOENT, "image " + image + " has no version " + version);
  if (!is_plain_name(image) || !is_plain_name(version)) return absent;
  const auto dir = Dir::open(path);
  if (!dir) {
    if (dir.error().code == ENOENT) return absent;
    return tl::make_unexpected(dir.error());
  }
  PANAL_ASSIGN(const std::string text, dir->read("manifest.json", kMostManifestBytes));
  return parse_manifest(text, path + "/manifest.json");
}

Result<VersionManifest> ImageStore::find_by_digest(const std::string& image,
                                                   const std::string& recipe_digest) const {
  PANAL_ASSIGN(auto all, list());
  for (auto& manifest : all)
    if (manifest.image == image && manifest.recipe_digest == recipe_digest)
      return std::move(manifest);
  return fail(ENOENT, "image " + image + " was not built from this recipe yet");
}

std::string ImageStore::root_of(const std::string& image, const std::string& version) const {
  return images_dir_ + "/" + image + "/" + version + "/root";
}

std::string ImageStore::repository_dir() const { return images_dir_ + "/.repo"; }

}  // namespace panal::storage
