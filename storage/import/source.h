#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "storage/import/import.h"

namespace panal::storage {

/// What an import reads, opened.
struct ImportSource {
  ImportKind kind = ImportKind::kAuto;  ///< kAuto: a tarball, which its entries tell apart
  bool is_directory = false;
  UniqueFd file;            ///< of a tarball
  std::uint64_t bytes = 0;  ///< to be read, about
};

/// Errors: ENOENT, EACCES; EINVAL where kind and file do not go together.
[[nodiscard]] Result<ImportSource> open_source(const ImportSpec& spec);

}  // namespace panal::storage
