#include "bench/faults/bit_flips.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <set>

#include "engine/base/unique_fd.h"

namespace panal::bench {
namespace {

using storage::Damage;
using storage::ImageStore;
using storage::ObjectName;
using storage::ObjectType;
using storage::Repository;

/// Directories that are mended show what is below them: never deeper than this.
constexpr int kMostRepairs = 20;

Result<std::vector<ObjectName>> objects_of(const std::string& repository) {
  std::vector<ObjectName> all;
  std::error_code code;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(repository + "/objects", code)) {
    const std::string name = entry.path().filename();
    const auto dot = name.find('.');
    if (dot == std::string::npos) continue;
    const std::string ending = name.substr(dot);
    ObjectName object{entry.path().parent_path().filename().string() + name.substr(0, dot),
                      ObjectType::kFile};
    if (ending == ".dirtree") object.type = ObjectType::kDirTree;
    if (ending == ".dirmeta") object.type = ObjectType::kDirMeta;
    if (ending == ".commit") object.type = ObjectType::kCommit;
    all.push_back(object);
  }
  if (code) return fail(code.value(), "list " + repository);
  std::sort(all.begin(), all.end());
  return all;
}

/// The inode that an object is, whatever its name leads to afterwards, and how to undo the flip.
Result<void> flip_one(const std::string& path, std::mt19937_64& random) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) return fail_errno("stat", path);
  if (!S_ISREG(info.st_mode) || info.st_size == 0) {
    if (::lchown(path.c_str(), info.st_uid ^ 1U, info.st_gid) != 0)
      return fail_errno("chown", path);
    return {};
  }
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return fail_errno("open", path);
  const auto at = static_cast<off_t>(random() % static_cast<std::uint64_t>(info.st_size));
  unsigned char byte = 0;
  if (::pread(fd.get(), &byte, 1, at) != 1) return fail_errno("read", path);
  byte = static_cast<unsigned char>(byte ^ (1U << (random() % 8)));
  if (::pwrite(fd.get(), &byte, 1, at) != 1) return fail_errno("write", path);
  return {};
}

class Flipping {
 public:
  Flipping(ImageStore& store, const Repository& sound, std::uint64_t seed)
      : store_(store), sound_(sound), random_(seed) {}

  Result<BitFlips> run(unsigned count) {
    PANAL_ASSIGN(auto objects, objects_of(store_.repository_dir()));
    if (objects.empty()) return fail(ENOENT, "there are no objects");
    std::shuffle(objects.begin(), objects.end(), random_);
    for (unsigned i = 0; i < count; ++i) PANAL_TRY(damage({objects[i % objects.size()]}));
    const std::size_t at_once = std::min<std::size_t>(count, objects.size());
    PANAL_TRY(damage({objects.begin(), objects.begin() + static_cast<std::ptrdiff_t>(at_once)}));
    PANAL_ASSIGN(const auto versions, store_.list());
    if (versions.empty()) return fail(ENOENT, "there are no versions");
    for (unsigned i = 0; i < count; ++i) {
      PANAL_TRY(damage_manifest(versions[random_() % versions.size()]));
      PANAL_TRY(damage_name(versions[random_() % versions.size()]));
    }
    return std::move(result_);
  }

 private:
  Result<void> damage(const std::vector<ObjectName>& objects) {
    for (const auto& object : objects)
      PANAL_TRY(flip_one(store_.repository_dir() + "/objects/" + storage::loose_path(object, false),
                         random_));
    result_.objects += static_cast<unsigned>(objects.size());
    // It may refuse, or delete what nobody needs.
    (void)store_.gc();
    std::set<ObjectName> named;
    std::vector<Damage> left;
    for (int turn = 0; turn < kMostRepairs; ++turn) {
      PANAL_ASSIGN(const auto report, store_.verify());
      if (report.damages.empty()) {
        left.clear();
        break;
      }
      for (const auto& one : report.damages) look_at(one, named);
      // Trees with damaged directories in them are mended when those are.
      PANAL_ASSIGN(left, store_.repair(report.damages, [this](const ObjectName& object) {
        return sound_.archive_object(object);
      }));
    }
    for (const auto& one : left) complain("not mended: " + one.what);
    for (const auto& object : objects)
      if (!named.contains(object)) complain("not found: " + storage::describe(object));
    PANAL_ASSIGN(const auto after, store_.verify());
    for (const auto& one : after.damages) complain("still damaged: " + one.what);
    return {};
  }

  Result<void> damage_manifest(const storage::VersionManifest& version) {
    const std::filesystem::path root = store_.root_of(version.image, version.version);
    ++result_.manifests;
    return damage_file(root.parent_path() / "manifest.json", &Damage::places,
                       version.image + " " + version.version + ": manifest.json");
  }

  Result<void> damage_name(const storage::VersionManifest& version) {
    const std::string ref = version.image + "/" + version.version;
    ++result_.names;
    return damage_file(store_.repository_dir() + "/refs/heads/" + ref, &Damage::versions, ref);
  }

  /// `word` must be in `where` of some damage that is found.
  Result<void> damage_file(const std::string& file, std::vector<std::string> Damage::* where,
                           const std::string& word) {
    PANAL_TRY(flip_one(file, random_));
    (void)store_.gc();
    PANAL_ASSIGN(const auto report, store_.verify());
    const bool named = std::any_of(
        report.damages.begin(), report.damages.end(), [where, &word](const Damage& one) {
          return std::find((one.*where).begin(), (one.*where).end(), word) != (one.*where).end();
        });
    if (!named) complain("not found: " + word);
    PANAL_ASSIGN(const auto left, store_.repair(report.damages, [this](const ObjectName& object) {
      return sound_.archive_object(object);
    }));
    for (const auto& one : left) complain("not mended: " + one.what);
    PANAL_ASSIGN(const auto after, store_.verify());
    for (const auto& one : after.damages) complain("still damaged: " + one.what);
    return {};
  }

  void look_at(const Damage& damage, std::set<ObjectName>& named) {
    if (damage.object.checksum.empty()) return;
    named.insert(damage.object);
    if (damage.versions.empty() || damage.places.empty())
      complain("nobody is told where it is: " + damage.what);
  }

  void complain(std::string sentence) {
    if (result_.complaints.empty() || result_.complaints.back() != sentence)
      result_.complaints.push_back(std::move(sentence));
  }

  ImageStore& store_;
  const Repository& sound_;
  std::mt19937_64 random_;
  BitFlips result_;
};

}  // namespace

Result<BitFlips> flip_bits(ImageStore& store, const Repository& sound, unsigned count,
                           std::uint64_t seed) {
  return Flipping(store, sound, seed).run(count);
}

}  // namespace panal::bench
