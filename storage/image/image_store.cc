#include "storage/image/image_store.h"

#include <algorithm>
#include <tuple>

#include "engine/base/tree.h"

/// Only what reads: programs that do no more, panald before all, then need no libostree.
namespace panal::storage {
namespace {

/// A version's manifest, which must be its own. Errors: ENOENT where there is no such version, and
/// those of is_damage().
Result<VersionManifest> read_version(const Dir& images, const std::string& image,
                                     const std::string& version) {
  const std::string file = image + "/" + version + "/manifest.json";
  const std::string path = images.path() + "/" + file;
  const auto text = images.read(file, kMostManifestBytes);
  if (!text && text.error().code == ENOENT && images.exists(image + "/" + version))
    return fail(EPROTO, path + ": is missing");
  if (!text) return tl::make_unexpected(text.error());
  PANAL_ASSIGN(VersionManifest manifest, parse_manifest(*text, path));
  if (manifest.image != image || manifest.version != version)
    return fail(EPROTO, path + ": is the manifest of " + manifest.image + " " + manifest.version);
  return manifest;
}

/// Of the manifest itself or of the disk below it, and not of us who read it.
bool is_damage(int code) {
  switch (code) {
    case EPROTO:
    case EFBIG:
    case EIO:
    case EUCLEAN:
    case EBADMSG:
    case ENODATA:
    case ENOTDIR:
    case EISDIR:
    case ELOOP: return true;
    default: return false;
  }
}

}  // namespace

Result<VersionsOnDisk> ImageStore::look() const {
  VersionsOnDisk all;
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
      auto manifest = read_version(*images, image, version);
      if (manifest) {
        all.sound.push_back(std::move(*manifest));
        continue;
      }
      Error& why = manifest.error();
      if (why.code == ENOENT) continue;  // removed while we looked
      if (!is_damage(why.code)) return tl::make_unexpected(std::move(why));
      all.broken.push_back({image, version, std::move(why)});
    }
  }
  std::sort(all.sound.begin(), all.sound.end(), is_listed_before);
  std::sort(all.broken.begin(), all.broken.end(), [](const auto& a, const auto& b) {
    return std::tie(a.image, a.version) < std::tie(b.image, b.version);
  });
  return all;
}

Result<std::vector<VersionManifest>> ImageStore::list() const {
  PANAL_ASSIGN(VersionsOnDisk all, look());
  if (!all.broken.empty()) return tl::make_unexpected(std::move(all.broken.front().why));
  return std::move(all.sound);
}

Result<VersionManifest> ImageStore::find(const std::string& image,
                                         const std::string& version) const {
  const Failure absent = fail(ENOENT, "image " + image + " has no version " + version);
  if (!is_plain_name(image) || !is_plain_name(version)) return absent;
  const auto images = Dir::open(images_dir_);
  if (!images && images.error().code == ENOENT) return absent;
  if (!images) return tl::make_unexpected(images.error());
  auto manifest = read_version(*images, image, version);
  if (!manifest && manifest.error().code == ENOENT) return absent;
  return manifest;
}

std::string ImageStore::root_of(const std::string& image, const std::string& version) const {
  return images_dir_ + "/" + image + "/" + version + "/root";
}

std::string ImageStore::repository_dir() const { return images_dir_ + "/.repo"; }

}  // namespace panal::storage
