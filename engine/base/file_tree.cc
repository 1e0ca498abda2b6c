#include "engine/base/file_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "engine/base/unique_fd.h"

namespace panal {
namespace {

constexpr int kDeepest = 64;

struct CloseDir {
  void operator()(DIR* stream) const { ::closedir(stream); }
};

struct Name {
  std::string text;
  unsigned char type;
};

/// All names at once: entries are removed and moved while we go through them.
Result<std::vector<Name>> names_in(int dir_fd, const std::string& path) {
  UniqueFd fd(::openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno("open", path);
  const std::unique_ptr<DIR, CloseDir> stream(::fdopendir(fd.get()));
  if (!stream) return fail_errno("list", path);
  (void)fd.release();  // closedir closes it
  std::vector<Name> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) {
      if (errno != 0) return fail_errno("list", path);
      return names;
    }
    std::string name = static_cast<const char*>(entry->d_name);
    if (name != "." && name != "..") names.push_back({std::move(name), entry->d_type});
  }
}

/// State of one remove_tree(): where directories that are too deep are moved to.
struct Removal {
  int top_fd;
  std::vector<std::string> moved_up;
  unsigned counter = 0;
};

Result<void> empty_directory(int dir_fd, const std::string& path, int depth, Removal& removal) {
  PANAL_ASSIGN(const std::vector<Name> names, names_in(dir_fd, path));
  for (const Name& name : names) {
    const std::string below = path + "/" + name.text;
    if (name.type != DT_DIR) {
      if (::unlinkat(dir_fd, name.text.c_str(), 0) == 0 || errno == ENOENT) continue;
      if (errno != EISDIR && errno != EPERM) return fail_errno("delete", below);
      // A file system that does not tell types: it was a directory.
    }
    if (::unlinkat(dir_fd, name.text.c_str(), AT_REMOVEDIR) == 0) continue;
    if (errno != ENOTEMPTY && errno != EEXIST) return fail_errno("delete directory", below);
    if (depth >= kDeepest) {
      std::string aside = ".panal-deep-" + std::to_string(removal.counter++);
      if (::renameat(dir_fd, name.text.c_str(), removal.top_fd, aside.c_str()) != 0)
        return fail_errno("move", below);
      removal.moved_up.push_back(std::move(aside));
      continue;
    }
    const UniqueFd child(
        ::openat(dir_fd, name.text.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!child) return fail_errno("open", below);
    PANAL_TRY(empty_directory(child.get(), below, depth + 1, removal));
    if (::unlinkat(dir_fd, name.text.c_str(), AT_REMOVEDIR) != 0)
      return fail_errno("delete directory", below);
  }
  return {};
}

Result<void> walk_below(int dir_fd, const std::string& path, dev_t device, int depth,
                        const std::function<Result<void>(const TreeEntry&)>& visit) {
  PANAL_ASSIGN(std::vector<Name> names, names_in(dir_fd, path));
  std::sort(names.begin(), names.end(),
            [](const Name& a, const Name& b) { return a.text < b.text; });
  for (const Name& name : names) {
    TreeEntry entry;
    entry.directory = dir_fd;
    entry.name = name.text;
    entry.path = path.empty() ? name.text : path + "/" + name.text;
    if (::fstatat(dir_fd, name.text.c_str(), &entry.info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;
      return fail_errno("stat", entry.path);
    }
    PANAL_TRY(visit(entry));
    if (!S_ISDIR(entry.info.st_mode) || entry.info.st_dev != device) continue;
    if (depth >= kDeepest) return fail(EOVERFLOW, "walk " + entry.path + ": too deep");
    const UniqueFd child(
        ::openat(dir_fd, name.text.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!child) {
      if (errno == ENOENT) continue;
      return fail_errno("open", entry.path);
    }
    PANAL_TRY(walk_below(child.get(), entry.path, device, depth + 1, visit));
  }
  return {};
}

}  // namespace

Result<void> remove_tree(int dir_fd, const std::string& name) {
  if (::unlinkat(dir_fd, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return fail_errno("delete", name);
  const UniqueFd top(
      ::openat(dir_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!top) return fail_errno("open", name);
  Removal removal{top.get(), {}, 0};
  PANAL_TRY(empty_directory(top.get(), name, 0, removal));
  while (!removal.moved_up.empty()) {
    const std::string aside = std::move(removal.moved_up.back());
    removal.moved_up.pop_back();
    const UniqueFd deep(
        ::openat(top.get(), aside.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!deep) return fail_errno("open", aside);
    PANAL_TRY(empty_directory(deep.get(), aside, 0, removal));
    if (::unlinkat(top.get(), aside.c_str(), AT_REMOVEDIR) != 0)
      return fail_errno("delete directory", aside);
  }
  if (::unlinkat(dir_fd, name.c_str(), AT_REMOVEDIR) != 0)
    return fail_errno("delete directory", name);
  return {};
}

Result<void> remove_tree(const std::string& path) {
  auto removed = remove_tree(AT_FDCWD, path);
  if (!removed && removed.error().context.find(path) == std::string::npos)
    return prefixed("delete " + path, removed.error());
  return removed;
}

Result<void> walk_tree(const std::string& root,
                       const std::function<Result<void>(const TreeEntry&)>& visit) {
  const UniqueFd top(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!top) return fail_errno("open", root);
  struct stat info{};
  if (::fstat(top.get(), &info) != 0) return fail_errno("stat", root);
  return walk_below(top.get(), "", info.st_dev, 0, visit);
}

}  // namespace panal
