#include "storage/repo/incoming.h"

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <unordered_set>

#include "storage/repo/inner.h"
#include "storage/repo/under_way.h"

namespace panal::storage {
namespace {

/// How many entries and levels a tree would have on disk. One directory's list may stand in many
/// places, so a small repository can describe a tree that no disk holds.
class TreeExtent {
 public:
  struct Extent {
    std::uint64_t entries = 0;
    int levels = 1;
  };
  explicit TreeExtent(OstreeRepo* repo) : repo_(repo) {}

  Result<Extent> of(const std::string& checksum, int depth) {
    if (const auto known = known_.find(checksum); known != known_.end()) {
      if (depth + known->second.levels > kDeepest) return too_deep();
      return known->second;
    }
    if (depth >= kDeepest) return too_deep();
    PANAL_ASSIGN(const DirTree tree, load_dirtree(repo_, checksum));
    Extent extent;
    extent.entries = tree.files.size();
    for (const auto& directory : tree.directories) {
      PANAL_ASSIGN(const Extent below, of(directory.tree, depth + 1));
      extent.entries += 1 + below.entries;
      extent.levels = std::max(extent.levels, 1 + below.levels);
      if (extent.entries > Incoming::kMostEntries)
        return fail(EPROTO, "the version has more than " + std::to_string(Incoming::kMostEntries) +
                                " files and directories");
    }
    known_.emplace(checksum, extent);
    return extent;
  }

 private:
  static Failure too_deep() {
    return fail(EPROTO, "the version has directories deeper than " + std::to_string(kDeepest));
  }

  OstreeRepo* repo_;
  std::unordered_map<std::string, Extent> known_;
};

}  // namespace

struct Incoming::Inner {
  const Repository::Inner& repository;
  Transaction transaction;
  std::string checksum;
  std::string commit_bytes;
  CommitObject commit;
  UnderWay under_way;
  std::deque<ObjectName> directories;  ///< trees and their modes to look for
  std::deque<ObjectName> files;
  std::unordered_set<std::string> seen;
  std::uint64_t objects = 0;
  std::uint64_t bytes = 0;

  void want(const std::string& wanted, ObjectType type) {
    // One checksum is one object, whatever its type: all types hash different beginnings.
    const ObjectName object{wanted, type};
    if (!seen.insert(loose_path(object, true)).second) return;
    (type == ObjectType::kFile ? files : directories).push_back(object);
  }

  [[nodiscard]] Result<bool> is_here(const ObjectName& object) const {
    glib::Problem problem;
    gboolean here = FALSE;
    if (!::ostree_repo_has_object(repository.repo.get(), glib::type_of(object.type),
                                  object.checksum.c_str(), &here, nullptr, problem.out()))
      return problem.failure("look for " + describe(object));
    return here != FALSE;
  }

  /// Takes from the front of `queue` what is here; what is not is returned, and stays at its end.
  Result<std::vector<ObjectName>> sift(std::deque<ObjectName>& queue, std::size_t most) {
    std::vector<ObjectName> absent;
    while (!queue.empty() && absent.size() < most) {
      ObjectName object = std::move(queue.front());
      queue.pop_front();
      PANAL_ASSIGN(const bool here, is_here(object));
      if (!here) {
        absent.push_back(std::move(object));
        continue;
      }
      if (object.type != ObjectType::kDirTree) continue;
      PANAL_ASSIGN(const DirTree tree, load_dirtree(repository.repo.get(), object.checksum));
      for (const auto& file : tree.files) want(file.checksum, ObjectType::kFile);
      for (const auto& directory : tree.directories) {
        want(directory.tree, ObjectType::kDirTree);
        want(directory.meta, ObjectType::kDirMeta);
      }
    }
    queue.insert(queue.end(), absent.begin(), absent.end());
    return absent;
  }
};

Incoming::Incoming(std::unique_ptr<Inner> inner) : inner_(std::move(inner)) {}
Incoming::Incoming(Incoming&& other) noexcept = default;
Incoming::~Incoming() = default;

const VersionManifest& Incoming::manifest() const { return inner_->commit.manifest; }
std::uint64_t Incoming::objects() const { return inner_->objects; }
std::uint64_t Incoming::bytes() const { return inner_->bytes; }

Result<std::vector<ObjectName>> Incoming::missing(std::size_t most) {
  PANAL_ASSIGN(auto absent, inner_->sift(inner_->directories, most));
  if (!absent.empty()) return absent;
  return inner_->sift(inner_->files, most);
}

Result<void> Incoming::add(const ObjectName& object, int fd, std::uint64_t most_bytes) {
  PANAL_ASSIGN(const std::uint64_t bytes,
               write_archived(inner_->repository.repo.get(), object, fd, most_bytes));
  ++inner_->objects;
  inner_->bytes += bytes;
  return {};
}

Result<void> Incoming::copy(const Repository& source, const ObjectName& object) {
  OstreeRepo* const target = inner_->repository.repo.get();
  if (object.type == ObjectType::kFile) {
    PANAL_ASSIGN(const LoadedFile file, load_file(source.handle(), object.checksum));
    PANAL_TRY(write_file(target, object.checksum, file));
    const goffset size = ::g_file_info_get_size(file.info.get());
    inner_->bytes += static_cast<std::uint64_t>(std::max<goffset>(0, size));
  } else {
    PANAL_ASSIGN(const std::string bytes, load_metadata(source.handle(), object));
    PANAL_TRY(write_metadata(target, object, bytes));
    inner_->bytes += bytes.size();
  }
  ++inner_->objects;
  return {};
}

Result<void> Incoming::finish() {
  PANAL_ASSIGN(const auto absent, missing(1));
  if (!absent.empty()) return fail(ENOENT, describe(absent.front()) + " has not come");
  OstreeRepo* const repo = inner_->repository.repo.get();
  PANAL_TRY(TreeExtent(repo).of(inner_->commit.tree, 0));
  PANAL_TRY(write_metadata(repo, {inner_->checksum, ObjectType::kCommit}, inner_->commit_bytes));
  return inner_->transaction.commit(inner_->repository, inner_->commit.manifest, inner_->checksum,
                                    {});
}

Result<Incoming> Repository::receive(const std::string& checksum, const std::string& commit_bytes) {
  const ObjectName object{checksum, ObjectType::kCommit};
  if (!is_checksum(checksum)) return fail(EINVAL, "\"" + checksum + "\" is no checksum");
  if (sha256_hex(commit_bytes) != checksum)
    return fail(EBADMSG, describe(object) + " is not what its name says");
  PANAL_ASSIGN(CommitObject commit, parse_commit(commit_bytes, describe(object)));
  PANAL_ASSIGN(Transaction transaction, Transaction::begin(handle(), {}));
  UnderWay under_way(path(), (inner_->is_archive() ? "a push of " : "a pull of ") +
                                 commit.manifest.image + " " + commit.manifest.version);
  auto inner = std::make_unique<Incoming::Inner>(Incoming::Inner{*inner_,
                                                                 std::move(transaction),
                                                                 checksum,
                                                                 commit_bytes,
                                                                 std::move(commit),
                                                                 std::move(under_way),
                                                                 {},
                                                                 {},
                                                                 {}});
  inner->want(inner->commit.tree, ObjectType::kDirTree);
  inner->want(inner->commit.meta, ObjectType::kDirMeta);
  return Incoming(std::move(inner));
}

}  // namespace panal::storage
