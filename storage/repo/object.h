#pragma once

#include <compare>
#include <cstddef>
#include <string>
#include <vector>

namespace panal::storage {

enum class ObjectType { kFile, kDirTree, kDirMeta, kCommit };

/// One object of a repository. The checksum is SHA-256 over its content and, for a file, its
/// owner, mode and extended attributes.
struct ObjectName {
  std::string checksum;  ///< 64 hex digits
  ObjectType type = ObjectType::kFile;

  auto operator<=>(const ObjectName&) const = default;
};

/// Where an archive repository has it, relative to the repository: "objects/ab/cdef....filez";
/// .dirtree, .dirmeta and .commit for the others. This is what web servers are asked for.
[[nodiscard]] std::string archive_path(const ObjectName& object);
/// The same below objects/, and for bare repositories too: "ab/cdef....file".
[[nodiscard]] std::string loose_path(const ObjectName& object, bool archive);
/// For people: "file abcdef...".
[[nodiscard]] std::string describe(const ObjectName& object);

/// Something that is not as its commit says.
struct Damage {
  enum class Kind {
    kObjectMissing,   ///< repair() fetches it
    kObjectCorrupt,   ///< its bytes, owner or mode give another checksum; repair() fetches it
    kCheckoutDiffers  ///< only the version's tree is wrong; repair() makes it anew
  };
  Kind kind = Kind::kObjectMissing;
  /// Empty checksum: kCheckoutDiffers without an object of its own, or a name or list.
  ObjectName object;
  std::string what;  ///< for people: "usr/bin/xterm is not the repository's file"
  /// "IMAGE VERSION: /path" for each file that shows it; at most kMostPlaces, the rest is counted.
  std::vector<std::string> places;
  std::size_t more_places = 0;
  /// "IMAGE/VERSION" of every version that shows it.
  std::vector<std::string> versions;

  static constexpr std::size_t kMostPlaces = 20;
};

}  // namespace panal::storage
