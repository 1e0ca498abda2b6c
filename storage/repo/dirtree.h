#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace panal::storage {

/// An object's SHA-256 as bytes: what lists of objects are made of. Text takes twice the room, and
/// a hundred versions have half a million entries.
using Sha256 = std::array<unsigned char, 32>;

/// A directory's list, as views into the bytes it was read from.
struct DirTreeView {
  struct File {
    std::string_view name;
    Sha256 checksum{};
  };
  struct Directory {
    std::string_view name;
    Sha256 tree{};
    Sha256 meta{};
  };
  std::vector<File> files;             ///< sorted by name
  std::vector<Directory> directories;  ///< sorted by name; no name is in both
};

/// Reads a dirtree object, a GVariant of type (a(say)a(sayay)) in normal form, without GLib: it
/// makes an object of each value, and who collects garbage reads tens of thousands of directories.
/// `bytes` must outlive the view. Errors: those of parse_dirtree() (metadata.h).
/// https://docs.gtk.org/glib/gvariant-specification-1.0.html
[[nodiscard]] Result<DirTreeView> view_dirtree(std::string_view bytes, const std::string& what);

/// 64 hex digits. False: they are not, and `digest` is anything.
[[nodiscard]] bool parse_sha256(std::string_view hex, Sha256& sum);

}  // namespace panal::storage
