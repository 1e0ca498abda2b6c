#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace panal::storage {

/// Puts `text` in the place of `path` by one rename, on disk before and after: who reads sees the
/// former file or the new one, whole. One writer at a time (a killed one's half file, .NAME.new, is
/// overwritten by the next; one that fails leaves none). Errors: those of open(2), write(2),
/// rename(2).
[[nodiscard]] Result<void> replace_file(const std::string& path, std::string_view text,
                                        mode_t mode);

/// The same where nothing may be replaced. Errors: EEXIST as well.
[[nodiscard]] Result<void> create_file(const std::string& path, std::string_view text, mode_t mode);

/// The directories above `path`, where they are missing (0755). Errors: those of mkdir(2).
[[nodiscard]] Result<void> make_directories_above(const std::string& path);
/// The same and `path` itself, with this mode where it is made.
[[nodiscard]] Result<void> make_directories_for(const std::string& path, mode_t mode);

/// What was renamed or made in a directory is on disk after it. Errors: those of fsync(2).
[[nodiscard]] Result<void> sync_directory_of(const std::string& path);

}  // namespace panal::storage
