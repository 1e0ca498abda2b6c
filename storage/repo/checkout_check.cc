#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "engine/base/file_tree.h"
#include "engine/base/log.h"
#include "engine/base/tree.h"
#include "storage/repo/inner.h"

namespace panal::storage {
namespace {

/// Beside the file it is about to replace; found and deleted as something too much if we die.
constexpr const char* kNewName = ".panal-mend";

bool is_same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/// Compares a tree on disk with a commit, and mends it where it is told to.
class CheckoutCheck {
 public:
  CheckoutCheck(const Repository::Inner& inner, bool mends, const Work& work)
      : inner_(inner), mends_(mends), work_(work) {}

  [[nodiscard]] std::vector<Repository::Fault> take_faults() { return std::move(faults_); }

  Result<void> check(const std::string& checksum, const std::string& dir) {
    PANAL_ASSIGN(const CommitObject commit, load_commit(inner_.repo.get(), checksum));
    PANAL_ASSIGN(objects_, Dir::open(inner_.path + "/objects"));
    const UniqueFd root(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!root) return fail_errno("open", dir);
    PANAL_TRY(check_mode(root.get(), commit.meta, "/"));
    return check_tree(root.get(), commit.tree, "/", 0);
  }

 private:
  void fault(const std::string& path, std::string what) {
    // What somebody put there can have any name.
    faults_.push_back({printable(path, 4096), std::move(what)});
  }

  Result<void> check_mode(int directory, const std::string& meta, const std::string& path) {
    PANAL_ASSIGN(const DirMeta wanted, load_dirmeta(inner_.repo.get(), meta));
    struct stat info{};
    if (::fstat(directory, &info) != 0) return fail_errno("stat", path);
    if (info.st_uid == wanted.uid && info.st_gid == wanted.gid &&
        (info.st_mode & 07777U) == wanted.mode)
      return {};
    fault(path, "has another owner or other permissions than in the repository");
    if (!mends_) return {};
    if (::fchown(directory, wanted.uid, wanted.gid) != 0) return fail_errno("chown", path);
    if (::fchmod(directory, wanted.mode) != 0) return fail_errno("chmod", path);
    return {};
  }

  Result<void> check_tree(int directory, const std::string& checksum, const std::string& path,
                          int depth) {
    if (depth > kDeepest) return fail(EOVERFLOW, "check " + path + ": too deep");
    if (work_.is_cancelled()) return fail(ECANCELED, "the check was cancelled");
    PANAL_ASSIGN(const DirTree tree, load_dirtree(inner_.repo.get(), checksum));
    PANAL_TRY(check_names(directory, tree, path));
    for (const auto& file : tree.files) PANAL_TRY(check_file(directory, file, path));
    for (const auto& below : tree.directories)
      PANAL_TRY(check_directory(directory, below, path + below.name + "/", depth));
    return {};
  }

  /// Whatever is there and not in the commit.
  Result<void> check_names(int directory, const DirTree& tree, const std::string& path) {
    PANAL_ASSIGN(const auto names, names_below(directory, path));
    for (const auto& name : names) {
      const bool known =
          std::binary_search(tree.files.begin(), tree.files.end(), name, ByName{}) ||
          std::binary_search(tree.directories.begin(), tree.directories.end(), name, ByName{});
      if (known) continue;
      fault(path + name, "is not in the repository");
      if (mends_) PANAL_TRY(remove_tree(directory, name));
    }
    return {};
  }

  struct ByName {
    template <typename Entry>
    bool operator()(const Entry& entry, const std::string& name) const {
      return entry.name < name;
    }
    template <typename Entry>
    bool operator()(const std::string& name, const Entry& entry) const {
      return name < entry.name;
    }
  };

  static Result<std::vector<std::string>> names_below(int directory, const std::string& path) {
    UniqueFd again(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!again) return fail_errno("open", path);
    return Dir(std::move(again), path).list();
  }

  Result<void> check_file(int directory, const DirTree::File& file, const std::string& path) {
    const std::string object = loose_path({file.checksum, ObjectType::kFile}, false);
    struct stat ours{};
    struct stat theirs{};
    const bool has_object =
        ::fstatat(objects_.fd(), object.c_str(), &ours, AT_SYMLINK_NOFOLLOW) == 0;
    if (!has_object && errno != ENOENT) return fail_errno("stat", object);
    if (::fstatat(directory, file.name.c_str(), &theirs, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno != ENOENT) return fail_errno("stat", path + file.name);
      fault(path + file.name, "is missing");
      return replace(directory, file, path);
    }
    if (has_object && is_same_file(ours, theirs)) return {};
    // A copy: an empty file, one of too many links, or one whose object was mended.
    const auto opened = open_file(directory, file.name);
    if (opened) {
      PANAL_ASSIGN(const std::string actual, checksum_of(*opened));
      if (actual == file.checksum) return {};
    } else if (opened.error().code != EPERM && opened.error().code != ELOOP) {
      return tl::make_unexpected(opened.error());
    }
    fault(path + file.name, "is not the repository's file");
    return replace(directory, file, path);
  }

  Result<void> replace(int directory, const DirTree::File& file, const std::string& path) {
    if (!mends_) return {};
    const std::string object = loose_path({file.checksum, ObjectType::kFile}, false);
    if (::linkat(objects_.fd(), object.c_str(), directory, kNewName, 0) != 0)
      return fail_errno("link " + path + file.name + " to", object);
    if (::renameat(directory, kNewName, directory, file.name.c_str()) == 0) return {};
    if (errno != EISDIR) return fail_errno("replace", path + file.name);
    PANAL_TRY(remove_tree(directory, file.name));
    if (::renameat(directory, kNewName, directory, file.name.c_str()) != 0)
      return fail_errno("replace", path + file.name);
    return {};
  }

  Result<void> check_directory(int parent, const DirTree::Directory& wanted,
                               const std::string& path, int depth) {
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    UniqueFd fd(::openat(parent, wanted.name.c_str(), kFlags));
    if (!fd) {
      if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) return fail_errno("open", path);
      fault(path, errno == ENOENT ? "is missing" : "is no directory");
      if (!mends_) return {};
      PANAL_TRY(remove_tree(parent, wanted.name));
      if (::mkdirat(parent, wanted.name.c_str(), 0700) != 0)
        return fail_errno("make directory", path);
      fd = UniqueFd(::openat(parent, wanted.name.c_str(), kFlags));
      if (!fd) return fail_errno("open", path);
    }
    PANAL_TRY(check_mode(fd.get(), wanted.meta, path));
    return check_tree(fd.get(), wanted.tree, path, depth + 1);
  }

  const Repository::Inner& inner_;
  bool mends_;
  const Work& work_;
  Dir objects_;
  std::vector<Repository::Fault> faults_;
};

Result<std::vector<Repository::Fault>> run(const Repository::Inner& inner, bool mends,
                                           const std::string& checksum, const std::string& dir,
                                           const Work& work) {
  if (inner.is_archive()) return fail(ENOTSUP, "a repository for publishing has no checkouts");
  CheckoutCheck check(inner, mends, work);
  PANAL_TRY(check.check(checksum, dir));
  return check.take_faults();
}

}  // namespace

Result<std::vector<Repository::Fault>> Repository::verify_checkout(const std::string& checksum,
                                                                   const std::string& dir,
                                                                   const Work& work) const {
  return run(*inner_, false, checksum, dir, work);
}

Result<std::vector<Repository::Fault>> Repository::mend_checkout(const std::string& checksum,
                                                                 const std::string& dir,
                                                                 const Work& work) {
  return run(*inner_, true, checksum, dir, work);
}

}  // namespace panal::storage
