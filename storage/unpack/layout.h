#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "storage/unpack/budget.h"
#include "storage/unpack/extract.h"
#include "storage/unpack/oci.h"
#include "storage/unpack/tar_stream.h"
#include "storage/unpack/target.h"

namespace panal::storage::unpack {

/// The name of an entry that a layout's tarball has and a root file system has not.
[[nodiscard]] bool belongs_to_layout(const std::string& path);

/// Copies one entry of a layout's tarball into the directory: blobs and the two files beside them.
/// All else is skipped. Errors: EPERM for a blob that is no plain file, EFBIG.
[[nodiscard]] Result<void> spool_entry(TarStream& stream, const TarEntry& entry, Target& layout,
                                       Budget& budget);

struct LayoutOptions {
  std::string reference;
  std::string architecture;
  bool leave_out_special = false;
  /// 0..1 of the layers, and what is being done.
  std::function<void(double fraction, const std::string& what)> progress;
};

struct LayoutFacts {
  std::string digest;                ///< of the image's manifest, SHA-256 hex
  std::vector<std::string> session;  ///< entry point and command
};

/// Unpacks the layers of one image of the layout in `layout` (an open directory), lowest first.
/// Every byte that is used is checked against its digest: documents before they are read, layers
/// as they are, compressed and decompressed. Errors: EPROTO, ENOENT, EINVAL; those of extract_all.
[[nodiscard]] Result<LayoutFacts> unpack_layout(const UniqueFd& layout, Target& target,
                                                const LayoutOptions& options, Budget& budget,
                                                ExtractCounts& counts);

}  // namespace panal::storage::unpack
