#include "storage/warm/hot_pages.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "engine/base/tree.h"

namespace panal::storage {

std::uint64_t HotPages::bytes() const {
  std::uint64_t pages = 0;
  for (const HotFile& file : files) pages += page_count(file.ranges);
  return pages * page_bytes;
}

Result<HotPages> read_hot_pages(const std::string& version_dir) {
  PANAL_ASSIGN(const Dir dir, Dir::open(version_dir));
  PANAL_ASSIGN(const std::string text, dir.read(kHotPagesFile, kMostHotPagesText));
  return parse_hot_pages(text, version_dir + "/" + kHotPagesFile);
}

Result<void> write_hot_pages(const std::string& version_dir, const HotPages& pages) {
  const std::string text = print_hot_pages(pages);
  const std::string file = version_dir + "/" + kHotPagesFile;
  if (text.size() > kMostHotPagesText) return fail(EFBIG, "write " + file);
  // Two that record one version at the same time each have a file of their own, and one wins.
  std::string aside = version_dir + "/.hot-pages.XXXXXX";
  const UniqueFd fd(::mkostemp(aside.data(), O_CLOEXEC));
  if (!fd) return fail_errno("create", aside);
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t wrote = ::write(fd.get(), text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {
      if (wrote == 0) errno = EIO;
      const Failure failed = fail_errno("write", aside);
      (void)::unlink(aside.c_str());
      return failed;
    }
    done += static_cast<std::size_t>(wrote);
  }
  // Not synced: a record lost in a power cut is made again. One that is half there would not be
  // read: its last line has no end, or its files are not in order.
  if (::fchmod(fd.get(), 0644) != 0 || ::rename(aside.c_str(), file.c_str()) != 0) {
    const Failure failed = fail_errno("rename", aside + " to " + file);
    (void)::unlink(aside.c_str());
    return failed;
  }
  return {};
}

HotPages kept_within(HotPages pages, std::uint64_t most_bytes) {
  if (pages.bytes() <= most_bytes) return pages;
  const auto share = [&pages](const HotFile& file) {
    const auto all = pages_of(file.size_bytes, pages.page_bytes);
    return all == 0 ? 0.0 : static_cast<double>(page_count(file.ranges)) / static_cast<double>(all);
  };
  std::sort(pages.files.begin(), pages.files.end(), [&share](const HotFile& a, const HotFile& b) {
    const double of_a = share(a);
    const double of_b = share(b);
    if (of_a != of_b) return of_a > of_b;
    const std::uint64_t pages_of_a = page_count(a.ranges);
    const std::uint64_t pages_of_b = page_count(b.ranges);
    return pages_of_a != pages_of_b ? pages_of_a < pages_of_b : a.path < b.path;
  });
  std::uint64_t left = most_bytes / pages.page_bytes;
  std::erase_if(pages.files, [&left](const HotFile& file) {
    const std::uint64_t needed = page_count(file.ranges);
    if (needed > left) return true;
    left -= needed;
    return false;
  });
  std::sort(pages.files.begin(), pages.files.end(),
            [](const HotFile& a, const HotFile& b) { return a.path < b.path; });
  return pages;
}

}  // namespace panal::storage
