#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::storage {

/// What is known of one immutable version; kept as manifest.json beside its tree.
struct VersionManifest {
  std::string image;          ///< "icewm"
  std::string version;        ///< "2026.11.23-1": date of the build and a counter
  std::string recipe_digest;  ///< SHA-256 hex of the normalised recipe
  std::int64_t created_unix_s = 0;
  std::uint64_t size_bytes = 0;      ///< sum of file sizes
  std::vector<std::string> session;  ///< argv of the X session
  bool browser_sandbox = false;      ///< nested user namespaces allowed inside
  std::vector<std::pair<std::string, std::string>> packages;  ///< name, version; sorted
};

/// Versions on disk: <images>/<image>/<version>/{root/,manifest.json}. A version appears whole by
/// one rename, and is never changed after. The directory itself is 0700: trees hold set-uid files
/// with canonical ids.
///
/// Removing renames aside before it deletes, so a version is there whole or not at all. One object
/// is used by one thread; several processes may use one directory.
class ImageStore {
 public:
  explicit ImageStore(std::string images_dir) : images_dir_(std::move(images_dir)) {}

  /// All versions of all images, by image, newest first. A damaged manifest is an error that names
  /// it. No images directory yet means no versions. Reading rights are enough.
  [[nodiscard]] Result<std::vector<VersionManifest>> list() const;
  /// Errors: ENOENT "image icewm has no version 7".
  [[nodiscard]] Result<VersionManifest> find(const std::string& image,
                                             const std::string& version) const;
  /// The newest version built from exactly this recipe. Errors: ENOENT.
  [[nodiscard]] Result<VersionManifest> find_by_digest(const std::string& image,
                                                       const std::string& recipe_digest) const;
  /// The tree of a version.
  [[nodiscard]] std::string root_of(const std::string& image, const std::string& version) const;

  /// A new empty directory on the same file system to build in (<images>/.staging/...). It is
  /// this process's as long as it lives (flock(2): works across pid namespaces).
  [[nodiscard]] Result<std::string> new_staging(const std::string& image);
  /// Makes the tree `staging`/root a version: numbers it, writes the manifest, syncs, renames.
  /// Errors: ENOENT without a tree there, EINVAL for a manifest without image name.
  [[nodiscard]] Result<VersionManifest> commit(const std::string& staging,
                                               VersionManifest manifest);
  /// Deletes a version. The caller made sure nobody uses it. Errors: ENOENT.
  [[nodiscard]] Result<void> remove(const std::string& image, const std::string& version);
  /// Deletes what crashed builds left in staging (of processes that no longer live).
  [[nodiscard]] Result<void> collect_staging();
  /// Deletes a staging directory of this process whose build failed.
  [[nodiscard]] Result<void> discard_staging(const std::string& staging);

 private:
  std::string images_dir_;
  /// Locks of this process's staging directories, by path. Shared, so that stores can be copied.
  std::shared_ptr<std::map<std::string, UniqueFd>> staging_ =
      std::make_shared<std::map<std::string, UniqueFd>>();
};

/// manifest.json's text, and back. Errors: EPROTO that names `file` and the key.
[[nodiscard]] std::string print_manifest(const VersionManifest& manifest);
[[nodiscard]] Result<VersionManifest> parse_manifest(const std::string& text,
                                                     const std::string& file);

}  // namespace panal::storage
