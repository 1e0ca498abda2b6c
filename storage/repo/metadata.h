#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "storage/repo/manifest.h"

/// The small objects of a repository as plain values. Their bytes may come from a stranger's web
/// server: nothing is believed, and what these functions accept is safe to lay out on disk.
/// https://ostreedev.github.io/ostree/repo/ (GVariant,
/// https://docs.gtk.org/glib/gvariant-format.html)
namespace panal::storage {

/// A directory's content.
struct DirTree {
  struct File {
    std::string name;
    std::string checksum;
  };
  struct Directory {
    std::string name;
    std::string tree;  ///< checksum of its DirTree
    std::string meta;  ///< checksum of its DirMeta
  };
  std::vector<File> files;             ///< sorted by name
  std::vector<Directory> directories;  ///< sorted by name; no name is in both
};

/// A directory's owner and permissions.
struct DirMeta {
  std::uint32_t uid = 0;   ///< canonical, below 65,536
  std::uint32_t gid = 0;   ///< canonical, below 65,536
  std::uint32_t mode = 0;  ///< permission bits only, 07777
};

struct CommitObject {
  VersionManifest manifest;  ///< without `commit`
  std::string tree;          ///< checksum of the root's DirTree
  std::string meta;          ///< checksum of the root's DirMeta
};

/// The longest of each that is read.
inline constexpr std::size_t kMostMetadataBytes = std::size_t{8} << 20;

/// `what` names the object in errors. Errors: EPROTO for bytes that are no such object or names
/// that leave the directory ("..", "a/b", "") or are there twice; ERANGE for an id past 65,535,
/// EPERM for extended attributes of a directory.
[[nodiscard]] Result<DirTree> parse_dirtree(std::string_view bytes, const std::string& what);
[[nodiscard]] Result<DirMeta> parse_dirmeta(std::string_view bytes, const std::string& what);
/// Also EPROTO for a commit that holds no manifest of ours.
[[nodiscard]] Result<CommitObject> parse_commit(std::string_view bytes, const std::string& what);

/// SHA-256 as 64 hex digits: what names all objects but files.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

}  // namespace panal::storage
