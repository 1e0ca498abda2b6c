#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "storage/lint/pyc.h"

namespace panal::storage {

enum class LintScope : std::uint8_t {
  kImage,    ///< a version's tree
  kDesktop,  ///< what a desktop has written over it
};

enum class LintKind : std::uint8_t { kFile, kDirectory, kLink, kOther };

/// A desktop's file beside the version's of the same path.
enum class LintBelow : std::uint8_t {
  kNone,         ///< the version has no such file, or it was not asked for
  kSame,         ///< all bytes are equal: only metadata was changed
  kOther,        ///< its content is another
  kNotCompared,  ///< a budget ended it
};

/// One entry of a tree, as far as rules look at it.
struct LintFile {
  std::string path;  ///< in the desktop: "/usr/bin/xterm"
  LintKind kind = LintKind::kFile;
  std::uint32_t mode = 0, uid = 0, gid = 0;
  std::uint64_t size = 0;        ///< bytes
  std::uint64_t disk_bytes = 0;  ///< blocks it takes: less where it has holes
  std::uint64_t inode = 0;
  std::int64_t mtime_s = 0;
  bool elf = false;  ///< a program or library; only looked at in a desktop's layer
  LintBelow below = LintBelow::kNone;
  std::optional<PycHeader> pyc = std::nullopt;  ///< of compiled Python
};

/// A tree that was looked at: all that rules know.
struct LintTree {
  LintScope scope = LintScope::kImage;
  std::vector<LintFile> files;  ///< by path
  /// Files of equal content, mode and owner that are not one inode: indices, the first stays.
  std::vector<std::vector<std::size_t>> equal;
  std::string cut_short;  ///< why not all was looked at; empty: it was

  /// Null: there is none of this path.
  [[nodiscard]] const LintFile* find(const std::string& path) const;
};

}  // namespace panal::storage
