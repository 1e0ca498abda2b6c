#pragma once

#include <atomic>
#include <string>

#include "engine/base/result.h"
#include "storage/import/import.h"

namespace panal::storage {

enum class TarCompression { kNone, kGzip, kZstd, kXz };

/// By the end of a file's name: .tar, .tar.gz and .tgz, .tar.zst, .tar.xz.
/// Errors: EINVAL that names them.
[[nodiscard]] Result<TarCompression> compression_of_name(const std::string& file);

struct ExportSpec {
  std::string root;  ///< the tree of a version (ImageStore::root_of)
  std::string file;  ///< what is made; must not exist yet
  TarCompression compression = TarCompression::kNone;
};

/// Writes the tree as a tarball (pax) that depends on the tree alone: names in byte order, times
/// zero, owners by number, no names of users. It appears whole under its name, mode 0600, or not
/// at all. Files with several names become several: in a checkout it cannot be told which of them
/// were one. File capabilities stay, other extended attributes go.
/// Errors: EEXIST where `file` is there already, ENOENT, ENOSPC, ECANCELED.
[[nodiscard]] Result<void> export_tar(const ExportSpec& spec, const ImportProgress& progress,
                                      const std::atomic<bool>* cancelled);

}  // namespace panal::storage
