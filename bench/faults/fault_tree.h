#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"

/// Files that faults must not hurt.
namespace panal::bench {

/// Who owns some of them; canonical.
inline constexpr std::uint32_t kUser = 1000;

/// A tree of a version: most files of all versions are the same.
[[nodiscard]] Result<void> write_tree(const std::string& root, const std::string& salt);
/// SHA-256 over names, kinds, modes, owners, bytes and links' targets of all below `root`.
[[nodiscard]] Result<std::string> sum_of_tree(const std::string& root);
/// Writes a new file into a mounted root or home as a user of the desktop would: host ids there are
/// those of its range, and the host's root can make nothing.
[[nodiscard]] Result<void> write_inside(const std::string& dir, const std::string& name,
                                        std::uint32_t host_id, const std::string& text);

[[nodiscard]] Result<void> write_text(const std::string& path, const std::string& text);
[[nodiscard]] Result<std::string> read_text(const std::string& path);
[[nodiscard]] Result<void> make_directories(const std::string& path);
/// Writes out the file system that a directory is on.
[[nodiscard]] Result<void> sync_file_system(const std::string& dir);

}  // namespace panal::bench
