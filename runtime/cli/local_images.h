#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "runtime/config/config.h"
#include "storage/import/import.h"
#include "storage/repo/diff.h"
#include "storage/repo/manifest.h"
#include "storage/repo/object.h"
#include "storage/repo/repository.h"
#include "storage/repo/work.h"

namespace panal::cli {

/// The versions on this node's disk, as far as commands work on them; tests have one that keeps
/// them in memory. Which versions there are for the farm is the store's to say (runtime/store).
class LocalImages {
 public:
  virtual ~LocalImages() = default;

  /// By image, newest first; of one whose manifest is damaged what its commit says. Errors: EACCES.
  [[nodiscard]] virtual Result<std::vector<storage::VersionManifest>> list() = 0;
  /// What is other in the second of two commits. Errors: ENOENT.
  [[nodiscard]] virtual Result<storage::VersionDiff> diff(const std::string& from_commit,
                                                          const std::string& to_commit) = 0;
  /// Deletes a version's copy; the space comes back with gc(). Errors: ENOENT.
  [[nodiscard]] virtual Result<void> remove(const std::string& image,
                                            const std::string& version) = 0;
  /// Finishes what was interrupted, then frees what no version needs. Errors: EBUSY, EIO.
  [[nodiscard]] virtual Result<storage::GcReport> gc(const storage::Work& work) = 0;
  /// What gc() would free, but for what was interrupted. Changes nothing. Errors: those of gc().
  [[nodiscard]] virtual Result<storage::GcReport> garbage(const storage::Work& work) = 0;
  /// Reads everything. `most_bytes_per_s` spares the disk; 0: as fast as it goes.
  [[nodiscard]] virtual Result<storage::VerifyReport> verify(std::uint64_t most_bytes_per_s,
                                                             const storage::Work& work) = 0;
  /// Commits a version that was made before versions were commits; no desktop may run from it.
  /// Has it a commit already, nothing is done. Errors: ENOENT, ENOSPC, EPERM, ECANCELED.
  [[nodiscard]] virtual Result<storage::VersionManifest> adopt(const std::string& image,
                                                               const std::string& version,
                                                               const storage::Work& work) = 0;
  /// Errors: those of storage::import_image().
  [[nodiscard]] virtual Result<storage::VersionManifest> take_in(const storage::ImportSpec& spec,
                                                                 const storage::Work& work) = 0;
  /// Writes a version's tree to a tarball, by the end of its name. Errors: those of
  /// storage::export_tar().
  [[nodiscard]] virtual Result<void> export_to(const std::string& image, const std::string& version,
                                               const std::string& file,
                                               const storage::Work& work) = 0;
};

/// The real one.
[[nodiscard]] std::unique_ptr<LocalImages> make_local_images(const config::Config& config);

}  // namespace panal::cli
