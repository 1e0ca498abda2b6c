#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "runtime/config/config.h"
#include "storage/repo/manifest.h"
#include "storage/repo/object.h"
#include "storage/repo/repository.h"
#include "storage/repo/work.h"
#include "storage/transfer/budget.h"
#include "storage/transfer/image_list.h"
#include "storage/transfer/keys.h"

namespace panal::cli {

/// An archive that versions are pulled from.
struct ArchivePlace {
  std::string where;          ///< a directory, or its URL: http://, https://, file:///
  std::string trust_file;     ///< what is believed of it, and which list was seen last
  std::string ca_file;        ///< PEM certificates in place of the system's; or empty
  std::string pinned_key;     ///< "sha256//BASE64" that the server must have; or empty
  std::string authorization;  ///< value of the Authorization header; or empty
  storage::PullBudget budget;
};

/// Versions on their way between this node and archives; tests have one that keeps archives in
/// memory. Errors beside those said: ECANCELED.
class ImageTransfer {
 public:
  virtual ~ImageTransfer() = default;

  /// What an archive offers, checked. Errors: those of storage::fetch_list().
  [[nodiscard]] virtual Result<storage::ImageList> list(const ArchivePlace& place,
                                                        const storage::Work& work) = 0;
  /// The same by the publisher's key as the operator says it. `keep`: it is the one for who reads
  /// `place.trust_file` from now on, if the list is to be believed by it; else all is as before.
  /// Errors: EINVAL for no key; those of storage::fetch_list_by_key().
  [[nodiscard]] virtual Result<storage::ImageList> list_by_key(const ArchivePlace& place,
                                                               const std::string& key, bool keep,
                                                               const storage::Work& work) = 0;
  /// Brings a listed version here, with its tree. Errors: those of storage::pull_version().
  [[nodiscard]] virtual Result<storage::VersionManifest> pull(const ArchivePlace& place,
                                                              const storage::ListedVersion& version,
                                                              const storage::Work& work) = 0;
  /// Mends what was found damaged on this node; returns what is still damaged, with why. A place
  /// without `where`: only trees are made anew.
  [[nodiscard]] virtual Result<std::vector<storage::Damage>> repair(
      const std::vector<storage::Damage>& damages, const ArchivePlace& place,
      const storage::Work& work) = 0;

  /// The publisher's key in this file, made where there is none. Errors: EACCES, EPROTO.
  [[nodiscard]] virtual Result<storage::PublicKey> publisher(const std::string& key_file) = 0;
  /// Copies a version into an archive (made where there is none) and lists it. `life` of the list:
  /// 0 as before, below 0 for ever.
  /// Errors: those of storage::Archive.
  [[nodiscard]] virtual Result<storage::ListedVersion> push(const std::string& directory,
                                                            const std::string& key_file,
                                                            const std::string& commit,
                                                            std::chrono::seconds life,
                                                            const storage::Work& work) = 0;
  /// Takes a version from an archive's list, and then its objects; how many bytes that freed.
  /// Errors: ENOENT where it is not listed; those of storage::Archive.
  [[nodiscard]] virtual Result<std::uint64_t> withdraw(const std::string& directory,
                                                       const std::string& key_file,
                                                       const std::string& image,
                                                       const std::string& version,
                                                       const storage::Work& work) = 0;
  /// Reads all of an archive in a directory. Errors: ENOENT; EINVAL for a node's own repository.
  [[nodiscard]] virtual Result<storage::VerifyReport> verify(const std::string& directory,
                                                             std::uint64_t most_bytes_per_s,
                                                             const storage::Work& work) = 0;
  /// A new key in the file; the archives' lists are signed by it. Errors: storage::rotate_key().
  [[nodiscard]] virtual Result<storage::PublicKey> rotate(
      const std::string& key_file, const std::vector<std::string>& archives) = 0;
};

/// The real one.
[[nodiscard]] std::unique_ptr<ImageTransfer> make_image_transfer(const config::Config& config);

}  // namespace panal::cli
