#pragma once

#include <sys/types.h>

#include <string>

#include "engine/base/result.h"

/// Small steps on disk that the image store is made of.
namespace panal::storage::files {

/// Makes a directory and those above it (0755); there already is fine.
[[nodiscard]] Result<void> make_directory(const std::string& path, mode_t mode);
/// Errors: EEXIST where `to` is there.
[[nodiscard]] Result<void> rename_new(const std::string& from, const std::string& to);
/// rename(2): `to` is replaced.
[[nodiscard]] Result<void> replace(const std::string& from, const std::string& to);
/// Both change places in one step.
[[nodiscard]] Result<void> exchange(const std::string& a, const std::string& b);
[[nodiscard]] Result<void> sync_directory(const std::string& path);
/// All of the file system that `path` is on: far cheaper than an fsync for each of 20,000 files.
[[nodiscard]] Result<void> sync_file_system(const std::string& path);
[[nodiscard]] Result<void> write_file(const std::string& path, const std::string& text);
[[nodiscard]] bool exists(const std::string& path);

}  // namespace panal::storage::files
