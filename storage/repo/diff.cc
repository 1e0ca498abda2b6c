#include "storage/repo/diff.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "storage/repo/inner.h"

namespace panal::storage {
namespace {

/// Compares two directory trees by checksums: what is equal is not entered.
class TreeDiff {
 public:
  TreeDiff(const Repository::Inner& inner, std::vector<FileChange>& changes)
      : inner_(inner), repo_(inner.repo.get()), changes_(changes) {}

  /// Empty checksums: that side has no such directory.
  Result<void> compare(const std::string& from, const std::string& to, const std::string& path,
                       int depth) {
    if (from == to) return {};
    if (depth > kDeepest) return fail(EOVERFLOW, "compare " + path + ": too deep");
    DirTree a;
    DirTree b;
    if (!from.empty()) {
      PANAL_ASSIGN(a, load_dirtree(repo_, from));
    }
    if (!to.empty()) {
      PANAL_ASSIGN(b, load_dirtree(repo_, to));
    }
    PANAL_TRY(compare_files(a, b, path));
    return compare_directories(a, b, path, depth);
  }

 private:
  Result<void> compare_files(const DirTree& a, const DirTree& b, const std::string& path) {
    auto left = a.files.begin();
    auto right = b.files.begin();
    while (left != a.files.end() || right != b.files.end()) {
      const int order = left == a.files.end()    ? 1
                        : right == b.files.end() ? -1
                                                 : left->name.compare(right->name);
      if (order == 0) {
        if (left->checksum != right->checksum)
          PANAL_TRY(add(Change::kChanged, path + left->name, left->checksum, right->checksum));
        ++left;
        ++right;
      } else if (order < 0) {
        PANAL_TRY(add(Change::kRemoved, path + left->name, left->checksum, ""));
        ++left;
      } else {
        PANAL_TRY(add(Change::kAdded, path + right->name, "", right->checksum));
        ++right;
      }
    }
    return {};
  }

  Result<void> compare_directories(const DirTree& a, const DirTree& b, const std::string& path,
                                   int depth) {
    auto left = a.directories.begin();
    auto right = b.directories.begin();
    while (left != a.directories.end() || right != b.directories.end()) {
      const int order = left == a.directories.end()    ? 1
                        : right == b.directories.end() ? -1
                                                       : left->name.compare(right->name);
      const std::string below = path + (order <= 0 ? left->name : right->name) + "/";
      if (order == 0) {
        if (left->meta != right->meta) changes_.push_back({Change::kChanged, below, 0, 0});
        PANAL_TRY(compare(left->tree, right->tree, below, depth + 1));
        ++left;
        ++right;
      } else if (order < 0) {
        changes_.push_back({Change::kRemoved, below, 0, 0});
        PANAL_TRY(compare(left->tree, "", below, depth + 1));
        ++left;
      } else {
        changes_.push_back({Change::kAdded, below, 0, 0});
        PANAL_TRY(compare("", right->tree, below, depth + 1));
        ++right;
      }
    }
    return {};
  }

  Result<std::uint64_t> size_of(const std::string& checksum) {
    if (checksum.empty()) return std::uint64_t{0};
    if (!inner_.is_archive()) {
      // Far cheaper than libostree's way, which opens the file and reads its attributes.
      const std::string object = "objects/" + loose_path({checksum, ObjectType::kFile}, false);
      struct stat info{};
      if (::fstatat(inner_.fd(), object.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0)
        return S_ISREG(info.st_mode) ? static_cast<std::uint64_t>(info.st_size) : 0;
    }
    glib::Problem problem;
    glib::Object<GFileInfo> info;
    if (!::ostree_repo_load_file(repo_, checksum.c_str(), nullptr, glib::into(info), nullptr,
                                 nullptr, problem.out())) {
      // A damaged repository must still answer; verify() is who tells of it.
      if (problem.code() == ENOENT) return std::uint64_t{0};
      return problem.failure("read file " + checksum);
    }
    if (::g_file_info_get_file_type(info.get()) != G_FILE_TYPE_REGULAR) return std::uint64_t{0};
    return static_cast<std::uint64_t>(std::max<goffset>(0, ::g_file_info_get_size(info.get())));
  }

  Result<void> add(Change change, std::string path, const std::string& from,
                   const std::string& to) {
    PANAL_ASSIGN(const std::uint64_t from_bytes, size_of(from));
    PANAL_ASSIGN(const std::uint64_t to_bytes, size_of(to));
    changes_.push_back({change, std::move(path), from_bytes, to_bytes});
    return {};
  }

  const Repository::Inner& inner_;
  OstreeRepo* repo_;
  std::vector<FileChange>& changes_;
};

}  // namespace

std::vector<PackageChange> diff_packages(
    const std::vector<std::pair<std::string, std::string>>& from,
    const std::vector<std::pair<std::string, std::string>>& to) {
  std::vector<PackageChange> changes;
  auto left = from.begin();
  auto right = to.begin();
  while (left != from.end() || right != to.end()) {
    const int order = left == from.end()  ? 1
                      : right == to.end() ? -1
                                          : left->first.compare(right->first);
    if (order < 0) {
      changes.push_back({Change::kRemoved, left->first, left->second, ""});
      ++left;
    } else if (order > 0) {
      changes.push_back({Change::kAdded, right->first, "", right->second});
      ++right;
    } else {
      if (left->second != right->second)
        changes.push_back({Change::kChanged, left->first, left->second, right->second});
      ++left;
      ++right;
    }
  }
  return changes;
}

Result<VersionDiff> Repository::diff(const std::string& from, const std::string& to) const {
  PANAL_ASSIGN(const CommitObject a, load_commit(handle(), from));
  PANAL_ASSIGN(const CommitObject b, load_commit(handle(), to));
  VersionDiff diff;
  diff.packages = diff_packages(a.manifest.packages, b.manifest.packages);
  if (a.meta != b.meta) diff.files.push_back({Change::kChanged, "/", 0, 0});
  PANAL_TRY(TreeDiff(*inner_, diff.files).compare(a.tree, b.tree, "/", 0));
  std::sort(diff.files.begin(), diff.files.end(),
            [](const FileChange& x, const FileChange& y) { return x.path < y.path; });
  return diff;
}

}  // namespace panal::storage
