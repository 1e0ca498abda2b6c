#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <functional>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "engine/base/log.h"
#include "engine/base/tree.h"
#include "storage/repo/dirtree.h"
#include "storage/repo/inner.h"
#include "storage/repo/under_way.h"

namespace panal::storage {
namespace {

constexpr std::uint64_t kBlock = 512;

/// An object as lists of objects have it. Half a million entries are looked up for a hundred
/// versions: text would be made for each.
struct Key {
  Sha256 sum{};
  ObjectType type = ObjectType::kFile;

  bool operator==(const Key&) const = default;
};

struct KeyHash {
  std::size_t operator()(const Key& key) const noexcept {
    std::size_t front = 0;  // of a hash: as good as any hash of it
    std::memcpy(&front, key.sum.data(), sizeof front);
    return front;
  }
};

std::string name_of(const Sha256& sum) { return hex(sum.data(), sum.size()); }

/// A directory's or a commit's bytes, and proof that they are what their name says: nothing is
/// deleted because a bit of a list has flipped. Read by ourselves: there are tens of thousands.
Result<std::string> checked_bytes(const Dir& objects, const ObjectName& object) {
  PANAL_ASSIGN(std::string bytes, objects.read(loose_path(object, false), kMostMetadataBytes));
  if (sha256_hex(bytes) != object.checksum) return fail(EUCLEAN, describe(object) + " is damaged");
  return bytes;
}

Result<DirTree> checked_dirtree(const Dir& objects, const std::string& checksum) {
  const ObjectName object{checksum, ObjectType::kDirTree};
  PANAL_ASSIGN(const std::string bytes, checked_bytes(objects, object));
  return parse_dirtree(bytes, describe(object));
}

Result<CommitObject> checked_commit(const Dir& objects, const std::string& checksum) {
  const ObjectName object{checksum, ObjectType::kCommit};
  if (!is_checksum(checksum))
    return fail(EUCLEAN, "\"" + printable(checksum, 80) + "\" is no checksum");
  PANAL_ASSIGN(const std::string bytes, checked_bytes(objects, object));
  return parse_commit(bytes, describe(object));
}

/// All that versions need. What directories are made of is read and checked on the way, each once.
class Marking {
 public:
  explicit Marking(const Dir& objects) : objects_(objects) {}

  Result<void> mark_commit(const std::string& checksum) {
    Key key{{}, ObjectType::kCommit};
    if (parse_sha256(checksum, key.sum) && !keys_.insert(key).second) return {};
    PANAL_ASSIGN(const CommitObject commit, checked_commit(objects_, checksum));
    Sha256 meta{};
    Sha256 tree{};
    if (!parse_sha256(commit.meta, meta) || !parse_sha256(commit.tree, tree))
      return fail(EUCLEAN, "commit " + checksum + " has no root");
    PANAL_TRY(mark_meta(meta));
    return mark_tree(tree, 0);
  }
  [[nodiscard]] bool is_marked(const Key& key) const { return keys_.contains(key); }

 private:
  Result<void> mark_meta(const Sha256& sum) {
    if (!keys_.insert({sum, ObjectType::kDirMeta}).second) return {};
    PANAL_TRY(checked_bytes(objects_, {name_of(sum), ObjectType::kDirMeta}));
    return {};
  }

  Result<void> mark_tree(const Sha256& sum, int depth) {
    if (!keys_.insert({sum, ObjectType::kDirTree}).second) return {};
    const ObjectName object{name_of(sum), ObjectType::kDirTree};
    if (depth > kDeepest) return fail(EOVERFLOW, describe(object) + " is too deep");
    PANAL_ASSIGN(const std::string bytes, checked_bytes(objects_, object));
    PANAL_ASSIGN(const DirTreeView tree, view_dirtree(bytes, describe(object)));
    for (const auto& file : tree.files) keys_.insert({file.checksum, ObjectType::kFile});
    for (const auto& directory : tree.directories) {
      PANAL_TRY(mark_meta(directory.meta));
      PANAL_TRY(mark_tree(directory.tree, depth + 1));
    }
    return {};
  }

  const Dir& objects_;
  std::unordered_set<Key, KeyHash> keys_;
};

/// A file below objects/ as what it is, "ab/cdef....dirtree"; detached metadata is its commit's and
/// goes with it. None: nothing that we know, so not ours to delete.
std::optional<Key> key_of(std::string_view path) {
  constexpr std::size_t kDigits = 64;
  if (path.size() < kDigits + 1 || path[2] != '/') return std::nullopt;
  std::string digits(path.substr(0, 2));
  digits += path.substr(3, kDigits - 2);
  Key key;
  if (!parse_sha256(digits, key.sum)) return std::nullopt;
  const std::string_view ending = path.substr(kDigits + 1);
  if (ending == ".file" || ending == ".filez")
    key.type = ObjectType::kFile;
  else if (ending == ".dirtree")
    key.type = ObjectType::kDirTree;
  else if (ending == ".dirmeta")
    key.type = ObjectType::kDirMeta;
  else if (ending == ".commit" || ending == ".commitmeta")
    key.type = ObjectType::kCommit;
  else
    return std::nullopt;
  return key;
}

/// Commits first: should we be killed, no commit is left of which parts are gone.
std::size_t deletion_order(ObjectType type) {
  switch (type) {
    case ObjectType::kCommit: return 0;
    case ObjectType::kDirTree: return 1;
    case ObjectType::kDirMeta: return 2;
    case ObjectType::kFile: return 3;
  }
  return 3;
}

/// Counts an object that no version needs, and deletes it if `deletes`.
Result<void> take_object(const Dir& objects, const std::string& key, bool deletes,
                         GcReport& report) {
  struct stat info{};
  if (::fstatat(objects.fd(), key.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno("stat", objects.path() + "/" + key);
  }
  if (deletes && ::unlinkat(objects.fd(), key.c_str(), 0) != 0)
    return fail_errno("delete", objects.path() + "/" + key);
  ++report.objects;
  // A file that a checkout still has frees nothing.
  if (info.st_nlink <= 1) report.freed_bytes += static_cast<std::uint64_t>(info.st_blocks) * kBlock;
  return {};
}

/// By deletion_order().
using Garbage = std::array<std::vector<std::string>, 4>;

/// What no version needs, as paths below objects/.
Result<Garbage> find_garbage(const Repository::Inner& inner, const Dir& objects, const Work& work) {
  Marking marking(objects);
  PANAL_ASSIGN(const auto refs, list_refs(inner));
  for (const auto& [ref, checksum] : refs) {
    if (work.is_cancelled()) return fail(ECANCELED, "cancelled; nothing was deleted");
    if (const auto marked = marking.mark_commit(checksum); !marked)
      return prefixed("version " + ref + " is damaged, so nothing was deleted (panal image repair)",
                      marked.error());
  }
  Garbage garbage;
  PANAL_TRY(for_each_object(objects, [&](const std::string& key) -> Result<void> {
    const auto object = key_of(key);
    if (object && !marking.is_marked(*object)) garbage[deletion_order(object->type)].push_back(key);
    return {};
  }));
  return garbage;
}

/// Which version an object belongs to, while sizes are summed up.
class Ownership {
 public:
  static constexpr std::size_t kShared = SIZE_MAX;

  Ownership(const Dir& objects, bool archive,
            const std::unordered_map<std::string, std::uint64_t>& sizes, std::size_t versions)
      : objects_(objects), archive_(archive), sizes_(sizes), own_bytes_(versions) {}

  Result<void> add_commit(const std::string& checksum, std::size_t version) {
    if (!claim({checksum, ObjectType::kCommit}, version)) return {};
    PANAL_ASSIGN(const CommitObject commit, checked_commit(objects_, checksum));
    (void)claim({commit.meta, ObjectType::kDirMeta}, version);
    return add_tree(commit.tree, version, 0);
  }
  [[nodiscard]] std::uint64_t own_bytes(std::size_t version) const { return own_bytes_[version]; }

 private:
  /// False: what is below needs no second look.
  bool claim(const ObjectName& object, std::size_t version) {
    const std::string key = loose_path(object, archive_);
    const auto size = sizes_.find(key);
    const std::uint64_t bytes = size == sizes_.end() ? 0 : size->second;
    const auto [owner, is_new] = owners_.emplace(key, version);
    if (is_new) {
      own_bytes_[version] += bytes;
      return true;
    }
    if (owner->second == version || owner->second == kShared) return false;
    own_bytes_[owner->second] -= bytes;
    owner->second = kShared;
    return true;
  }

  Result<void> add_tree(const std::string& checksum, std::size_t version, int depth) {
    if (!claim({checksum, ObjectType::kDirTree}, version)) return {};
    if (depth > kDeepest) return fail(EOVERFLOW, "directory " + checksum + " is too deep");
    PANAL_ASSIGN(const DirTree tree, checked_dirtree(objects_, checksum));
    for (const auto& file : tree.files) (void)claim({file.checksum, ObjectType::kFile}, version);
    for (const auto& directory : tree.directories) {
      (void)claim({directory.meta, ObjectType::kDirMeta}, version);
      PANAL_TRY(add_tree(directory.tree, version, depth + 1));
    }
    return {};
  }

  const Dir& objects_;
  bool archive_;
  const std::unordered_map<std::string, std::uint64_t>& sizes_;
  std::vector<std::uint64_t> own_bytes_;
  std::unordered_map<std::string, std::size_t> owners_;
};

}  // namespace

Result<void> check_directories(const Repository::Inner& inner, const std::string& checksum) {
  PANAL_ASSIGN(const Dir objects, Dir::open(inner.path + "/objects"));
  return Marking(objects).mark_commit(checksum);
}

Result<void> for_each_object(const Dir& objects,
                             const std::function<Result<void>(const std::string&)>& visit) {
  PANAL_ASSIGN(const auto prefixes, objects.list());
  for (const auto& prefix : prefixes) {
    if (prefix.size() != 2) continue;
    PANAL_ASSIGN(const auto names, objects.list(prefix));
    for (const auto& name : names)
      if (name.size() > 62) PANAL_TRY(visit(prefix + "/" + name));
  }
  return {};
}

Result<GcReport> Repository::gc(const Work& work, std::chrono::milliseconds wait) {
  GcReport report;
  const auto lock =
      FileLock::take(inner_->fd(), kObjectsLock, FileLock::Kind::kExclusive, wait, work);
  if (!lock && lock.error().code == EBUSY) {
    const std::string what = work_under_way(path());
    return fail(EBUSY, (what.empty() ? "a commit, a pull or a repair" : what) +
                           " runs, and nothing can be freed before it ends; wait for it or end "
                           "it, then collect again");
  }
  if (!lock) return tl::make_unexpected(lock.error());
  PANAL_ASSIGN(const Dir objects, Dir::open(path() + "/objects"));
  PANAL_ASSIGN(const Garbage all, find_garbage(*inner_, objects, work));
  for (const auto& keys : all) {
    for (const auto& key : keys) {
      if (work.is_cancelled()) return fail(ECANCELED, "cancelled");
      PANAL_TRY(take_object(objects, key, true, report));
    }
  }
  PANAL_ASSIGN(report.leftovers, delete_leftovers(*inner_));
  return report;
}

Result<GcReport> Repository::garbage(const Work& work) const {
  GcReport report;
  // A share: another gc() must not take away what is read here.
  PANAL_ASSIGN(const auto lock, FileLock::take(inner_->fd(), kObjectsLock, FileLock::Kind::kShared,
                                               kLockWait, work));
  PANAL_ASSIGN(const Dir objects, Dir::open(path() + "/objects"));
  PANAL_ASSIGN(const Garbage all, find_garbage(*inner_, objects, work));
  for (const auto& keys : all)
    for (const auto& key : keys) PANAL_TRY(take_object(objects, key, false, report));
  return report;
}

Result<RepositorySizes> Repository::sizes() const {
  RepositorySizes result;
  PANAL_ASSIGN(const Dir objects, Dir::open(path() + "/objects"));
  std::unordered_map<std::string, std::uint64_t> sizes;
  PANAL_TRY(for_each_object(objects, [&](const std::string& key) -> Result<void> {
    struct stat info{};
    if (::fstatat(objects.fd(), key.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) return {};  // gc() runs
      return fail_errno("stat", objects.path() + "/" + key);
    }
    const auto bytes = static_cast<std::uint64_t>(info.st_blocks) * kBlock;
    sizes.emplace(key, bytes);
    result.bytes += bytes;
    ++result.objects;
    return {};
  }));
  struct statvfs disk{};
  if (::fstatvfs(objects.fd(), &disk) != 0) return fail_errno("statfs", path());
  result.free_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;

  PANAL_ASSIGN(const auto versions, log());
  Ownership ownership(objects, inner_->is_archive(), sizes, versions.size());
  for (std::size_t i = 0; i < versions.size(); ++i)
    PANAL_TRY(ownership.add_commit(versions[i].commit, i));
  for (std::size_t i = 0; i < versions.size(); ++i)
    result.versions.push_back(
        {versions[i].image, versions[i].version, versions[i].size_bytes, ownership.own_bytes(i)});
  return result;
}

}  // namespace panal::storage
