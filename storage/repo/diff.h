#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace panal::storage {

enum class Change { kAdded, kRemoved, kChanged };

/// A package that is not the same in both. `from` is empty where it was added, `to` where removed.
struct PackageChange {
  Change change = Change::kChanged;
  std::string name;
  std::string from;
  std::string to;
};

/// A file, link or directory that is not the same in both: content, owner, mode or attributes.
struct FileChange {
  Change change = Change::kChanged;
  std::string path;  ///< "/usr/bin/xterm"; a directory ends with a slash
  std::uint64_t from_bytes = 0;
  std::uint64_t to_bytes = 0;
};

/// What is other in the second of two versions. Both lists are sorted by name.
struct VersionDiff {
  std::vector<PackageChange> packages;
  std::vector<FileChange> files;  ///< of an added or removed directory all files, too
};

/// Of two lists sorted by name.
[[nodiscard]] std::vector<PackageChange> diff_packages(
    const std::vector<std::pair<std::string, std::string>>& from,
    const std::vector<std::pair<std::string, std::string>>& to);

}  // namespace panal::storage
