#include "storage/warm/residency.h"

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace panal::storage {
namespace {

/// mincore(2) writes a byte a page: 64 KiB of them for this.
constexpr std::uint64_t kWindowBytes = std::uint64_t{256} << 20;

/// Headers of Debian 12 know neither. The number is the same on every architecture.
constexpr long kSysCachestat = 451;
struct CachestatRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;  ///< 0: to the end
};
struct Cachestat {
  std::uint64_t cached = 0, dirty = 0, writeback = 0, evicted = 0, recently_evicted = 0;  ///< pages
};

/// overlayfs keeps no pages: its files map those of the layer below, which cachestat(2) does not
/// look at and mincore(2) does.
bool is_on_overlay(int fd) {
  struct statfs info{};
  return ::fstatfs(fd, &info) == 0 &&
         info.f_type == static_cast<decltype(info.f_type)>(OVERLAYFS_SUPER_MAGIC);
}

class Mapping {
 public:
  Mapping(int fd, std::uint64_t offset, std::size_t length)
      : address_(::mmap(nullptr, length, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(offset))),
        length_(length) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (valid()) ::munmap(address_, length_);
  }
  [[nodiscard]] bool valid() const { return address_ != MAP_FAILED; }
  [[nodiscard]] void* address() const { return address_; }

 private:
  void* address_;
  std::size_t length_;
};

}  // namespace

std::uint64_t kernel_page_bytes() {
  const long bytes = ::sysconf(_SC_PAGESIZE);
  return bytes > 0 ? static_cast<std::uint64_t>(bytes) : 4096;
}

Result<PageRanges> resident_pages(int fd, std::uint64_t size_bytes) {
  const std::uint64_t page_bytes = kernel_page_bytes();
  PageRanges found;
  std::vector<unsigned char> present;
  for (std::uint64_t offset = 0; offset < size_bytes; offset += kWindowBytes) {
    const auto length = static_cast<std::size_t>(std::min(kWindowBytes, size_bytes - offset));
    const Mapping map(fd, offset, length);
    if (!map.valid()) return fail_errno("map a file to see its pages");
    const std::uint64_t pages = pages_of(length, page_bytes);
    present.assign(static_cast<std::size_t>(pages), 0);
    if (::mincore(map.address(), length, present.data()) != 0)
      return fail_errno("mincore of a file");
    for (std::uint64_t page = 0; page < pages; ++page)
      if ((present[static_cast<std::size_t>(page)] & 1U) != 0)
        append_page(found, offset / page_bytes + page);
  }
  return found;
}

Result<bool> any_page_resident(int fd, std::uint64_t size_bytes) {
  CachestatRange whole;
  Cachestat seen;
  if (::syscall(kSysCachestat, fd, &whole, &seen, 0U) == 0 &&
      (seen.cached > 0 || !is_on_overlay(fd)))
    return seen.cached > 0;
  // A file system may lack it, a sandbox may forbid it: the older way tells the same.
  PANAL_ASSIGN(const PageRanges found, resident_pages(fd, size_bytes));
  return !found.empty();
}

}  // namespace panal::storage
