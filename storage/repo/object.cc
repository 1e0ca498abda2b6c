#include "storage/repo/object.h"

namespace panal::storage {

std::string loose_path(const ObjectName& object, bool archive) {
  const char* ending = "";
  switch (object.type) {
    case ObjectType::kFile: ending = archive ? ".filez" : ".file"; break;
    case ObjectType::kDirTree: ending = ".dirtree"; break;
    case ObjectType::kDirMeta: ending = ".dirmeta"; break;
    case ObjectType::kCommit: ending = ".commit"; break;
  }
  return object.checksum.substr(0, 2) + "/" + object.checksum.substr(2) + ending;
}

std::string archive_path(const ObjectName& object) { return "objects/" + loose_path(object, true); }

std::string describe(const ObjectName& object) {
  switch (object.type) {
    case ObjectType::kFile: return "file " + object.checksum;
    case ObjectType::kDirTree: return "directory " + object.checksum;
    case ObjectType::kDirMeta: return "directory's mode " + object.checksum;
    case ObjectType::kCommit: return "commit " + object.checksum;
  }
  return object.checksum;
}

}  // namespace panal::storage
