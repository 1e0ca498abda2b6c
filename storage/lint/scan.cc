#include "storage/lint/scan.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "engine/base/file_tree.h"
#include "engine/base/open_beneath.h"
#include "engine/base/unique_fd.h"
#include "storage/lint/content.h"

namespace panal::storage {
namespace {

using lint::Reading;

constexpr std::uint64_t kBlockBytes = 512;  ///< st_blocks' unit whatever the file system's
/// Smaller ones share no page that would be worth a link.
constexpr std::uint64_t kLeastEqual = 4096;
constexpr std::uint64_t kToldEvery = 1000;  ///< files

LintFile described(const TreeEntry& entry) {
  LintFile file;
  file.path = "/" + entry.path;
  const mode_t mode = entry.info.st_mode;
  file.kind = S_ISREG(mode)   ? LintKind::kFile
              : S_ISDIR(mode) ? LintKind::kDirectory
              : S_ISLNK(mode) ? LintKind::kLink
                              : LintKind::kOther;
  file.mode = mode & 07777U;
  file.uid = entry.info.st_uid;
  file.gid = entry.info.st_gid;
  file.size = static_cast<std::uint64_t>(std::max<off_t>(0, entry.info.st_size));
  file.disk_bytes = static_cast<std::uint64_t>(entry.info.st_blocks) * kBlockBytes;
  file.inode = entry.info.st_ino;
  file.mtime_s = entry.info.st_mtim.tv_sec;
  return file;
}

/// A file of the walk, without waiting for a FIFO that has come into its place. Invalid: gone.
UniqueFd open_entry(const TreeEntry& entry) {
  UniqueFd fd(::openat(entry.directory, entry.name.c_str(),
                       O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info{};
  if (!fd || ::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return {};
  return fd;
}

std::string first_bytes(int fd) {
  std::array<char, kPycHeaderBytes> bytes{};
  const ssize_t got = ::pread(fd, bytes.data(), bytes.size(), 0);
  return {bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(0, got))};
}

bool has_attribute(int fd, const char* name) { return ::fgetxattr(fd, name, nullptr, 0) >= 0; }

bool is_shared_read_only(const std::string& path) {
  for (const char* glob : {"/etc/*", "/var/*", "/home/*", "/root/*", "/tmp/*", "/run/*"})
    if (::fnmatch(glob, path.c_str(), 0) == 0) return false;
  return true;
}

/// What ended a scan within its budget; other errors are the scan's.
Result<void> cut_or_fail(const Result<void>& walked, LintTree& tree) {
  if (walked) return {};
  if (walked.error().code != EDQUOT && walked.error().code != EOVERFLOW)
    return tl::make_unexpected(walked.error());
  tree.cut_short = walked.error().context;
  return {};
}

/// Groups the files that are the same but for their inode, by the digest of what may be.
Result<void> find_equal(const std::string& root, LintTree& tree, Reading& reading,
                        const LintProgress& progress) {
  using Key = std::tuple<std::uint64_t, std::uint32_t, std::uint32_t, std::uint32_t>;
  std::map<Key, std::map<std::uint64_t, std::vector<std::size_t>>> by_size;
  for (std::size_t i = 0; i < tree.files.size(); ++i) {
    const LintFile& file = tree.files[i];
    if (file.kind == LintKind::kFile && file.size >= kLeastEqual && is_shared_read_only(file.path))
      by_size[{file.size, file.mode, file.uid, file.gid}][file.inode].push_back(i);
  }
  const UniqueFd top(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top) return fail_errno("open", root);
  std::size_t done = 0;
  for (const auto& [key, inodes] : by_size) {
    if (progress && ++done % 64 == 0)
      progress(0.3 + 0.7 * static_cast<double>(done) / static_cast<double>(by_size.size()),
               "comparing files");
    if (inodes.size() < 2) continue;
    std::map<std::string, std::vector<std::size_t>> by_content;
    for (const auto& [inode, names] : inodes) {
      const auto fd = open_beneath(top.get(), tree.files[names.front()].path);
      // File capabilities are part of what a link would share.
      if (!fd || has_attribute(fd->get(), "security.capability")) continue;
      PANAL_ASSIGN(const std::string digest, lint::content_digest(fd->get(), reading));
      auto& group = by_content[digest];
      group.insert(group.end(), names.begin(), names.end());
    }
    for (auto& [digest, group] : by_content) {
      const std::uint64_t inode = tree.files[group.front()].inode;
      const bool one = std::all_of(group.begin(), group.end(),
                                   [&](std::size_t i) { return tree.files[i].inode == inode; });
      if (one) continue;
      std::sort(group.begin(), group.end());
      tree.equal.push_back(std::move(group));
    }
  }
  return {};
}

/// Whether the desktop's file differs from the version's.
Result<LintBelow> compare_below(int version_fd, int fd, const LintFile& file, Reading& reading) {
  const auto lower = open_beneath(version_fd, file.path);
  struct stat info{};
  if (!lower || ::fstat(lower->get(), &info) != 0) return LintBelow::kNone;
  if (static_cast<std::uint64_t>(info.st_size) != file.size) return LintBelow::kOther;
  PANAL_ASSIGN(const bool same, lint::same_content(fd, lower->get(), file.size, reading));
  return same ? LintBelow::kSame : LintBelow::kOther;
}

void sort_by_path(LintTree& tree) {
  std::sort(tree.files.begin(), tree.files.end(),
            [](const LintFile& a, const LintFile& b) { return a.path < b.path; });
}

}  // namespace

const LintFile* LintTree::find(const std::string& path) const {
  const auto found = std::lower_bound(
      files.begin(), files.end(), path,
      [](const LintFile& file, const std::string& name) { return file.path < name; });
  return found != files.end() && found->path == path ? &*found : nullptr;
}

Result<LintTree> scan_image(const std::string& root, const ScanBudget& budget,
                            const LintProgress& progress) {
  LintTree tree;
  Reading reading(budget);
  const auto walked = walk_tree(root, [&](const TreeEntry& entry) -> Result<void> {
    PANAL_TRY(reading.take_file());
    LintFile file = described(entry);
    if (file.kind == LintKind::kFile && file.path.ends_with(".pyc"))
      if (const UniqueFd fd = open_entry(entry)) file.pyc = parse_pyc_header(first_bytes(fd.get()));
    tree.files.push_back(std::move(file));
    if (progress && tree.files.size() % kToldEvery == 0) progress(0.1, "looking at files");
    return {};
  });
  PANAL_TRY(cut_or_fail(walked, tree));
  sort_by_path(tree);
  if (!tree.cut_short.empty()) return tree;
  PANAL_TRY(cut_or_fail(find_equal(root, tree, reading, progress), tree));
  std::sort(tree.equal.begin(), tree.equal.end());
  return tree;
}

Result<LintTree> scan_desktop(const std::string& upper, const std::string& root,
                              const ScanBudget& budget, const LintProgress& progress) {
  const UniqueFd version(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!version) return fail_errno("open", root);
  LintTree tree;
  tree.scope = LintScope::kDesktop;
  Reading reading(budget);
  const auto walked = walk_tree(upper, [&](const TreeEntry& entry) -> Result<void> {
    PANAL_TRY(reading.take_file());
    LintFile file = described(entry);
    if (file.kind != LintKind::kFile) return {};
    if (progress && tree.files.size() % kToldEvery == 0)
      progress(0.5, "comparing what the desktop has written");
    const UniqueFd fd = open_entry(entry);
    if (!fd || has_attribute(fd.get(), "trusted.overlay.metacopy")) return {};
    const std::string bytes = first_bytes(fd.get());
    file.elf = bytes.starts_with("\177ELF");
    if (file.path.ends_with(".pyc")) file.pyc = parse_pyc_header(bytes);
    auto below = compare_below(version.get(), fd.get(), file, reading);
    if (!below && below.error().code != EDQUOT) return tl::make_unexpected(below.error());
    file.below = below.value_or(LintBelow::kNotCompared);
    if (!below && tree.cut_short.empty()) tree.cut_short = below.error().context;
    tree.files.push_back(std::move(file));
    return {};
  });
  PANAL_TRY(cut_or_fail(walked, tree));
  sort_by_path(tree);
  return tree;
}

}  // namespace panal::storage
