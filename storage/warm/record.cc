#include "storage/warm/record.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <unordered_set>

#include "engine/base/file_tree.h"
#include "engine/base/unique_fd.h"
#include "storage/warm/residency.h"

namespace panal::storage {
namespace {

/// Holes of 16 KiB are read with what is around them.
constexpr std::uint64_t kFilledGapPages = 4;

using Visit = std::function<Result<void>(int fd, const std::string& path, std::uint64_t size)>;

/// Every file of the tree that has content, once, opened.
Result<void> each_file(const std::string& root, const std::atomic<bool>* cancelled,
                       const Visit& visit) {
  std::unordered_set<ino_t> seen;
  return walk_tree(root, [&](const TreeEntry& entry) -> Result<void> {
    if (cancelled != nullptr && cancelled->load()) return fail(ECANCELED, "look at " + root);
    if (!S_ISREG(entry.info.st_mode) || entry.info.st_size == 0) return {};
    if (entry.info.st_nlink > 1 && !seen.insert(entry.info.st_ino).second) return {};
    const UniqueFd fd(::openat(entry.directory, entry.name.c_str(),
                               O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd) {
      if (errno == ENOENT || errno == ELOOP) return {};
      return fail_errno("open", entry.path);
    }
    return visit(fd.get(), entry.path, static_cast<std::uint64_t>(entry.info.st_size));
  });
}

}  // namespace

Result<HotPages> record_hot_pages(const std::string& root, const std::atomic<bool>* cancelled) {
  HotPages pages;
  pages.page_bytes = static_cast<std::uint32_t>(kernel_page_bytes());
  PANAL_TRY(
      each_file(root, cancelled,
                [&pages](int fd, const std::string& path, std::uint64_t size) -> Result<void> {
                  PANAL_ASSIGN(const bool any, any_page_resident(fd, size));
                  if (!any) return {};
                  PANAL_ASSIGN(const PageRanges found, resident_pages(fd, size));
                  if (!found.empty())
                    pages.files.push_back({"/" + path, size, joined(found, kFilledGapPages)});
                  return {};
                }));
  std::sort(pages.files.begin(), pages.files.end(),
            [](const HotFile& a, const HotFile& b) { return a.path < b.path; });
  return pages;
}

Result<CoolReport> cool_tree(const std::string& root, const std::atomic<bool>* cancelled) {
  CoolReport report;
  PANAL_TRY(each_file(
      root, cancelled, [&report](int fd, const std::string&, std::uint64_t size) -> Result<void> {
        PANAL_ASSIGN(const bool any, any_page_resident(fd, size));
        if (!any) return {};
        ++report.files;
        if (const int error = ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); error != 0)
          return fail(error, "let pages of a file go");
        PANAL_ASSIGN(const bool still, any_page_resident(fd, size));
        if (still) ++report.kept_files;
        return {};
      }));
  return report;
}

}  // namespace panal::storage
