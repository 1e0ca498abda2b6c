#include "bench/versions/tree_pages.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "engine/base/file_tree.h"
#include "engine/base/unique_fd.h"

namespace panal::bench {
namespace {

Result<std::uint64_t> resident_bytes(int fd, std::size_t size, const std::string& path) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* const mapped = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) return fail_errno("map", path);
  std::vector<unsigned char> present((size + page - 1) / page);
  const int looked = ::mincore(mapped, size, present.data());
  const int code = errno;
  (void)::munmap(mapped, size);
  if (looked != 0) return fail(code, "look for pages of " + path);
  std::uint64_t count = 0;
  for (const unsigned char one : present) count += one & 1U;
  return count * page;
}

}  // namespace

Result<void> read_tree(const std::string& root, CachedFiles& cached) {
  std::string block(65536, '\0');
  return walk_tree(root, [&](const TreeEntry& entry) -> Result<void> {
    if (!S_ISREG(entry.info.st_mode) || entry.info.st_size == 0) return {};
    const UniqueFd fd(::openat(entry.directory, entry.name.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return fail_errno("open", entry.path);
    ssize_t got = 0;
    while ((got = ::read(fd.get(), block.data(), block.size())) > 0) {
    }
    if (got < 0) return fail_errno("read", entry.path);
    PANAL_ASSIGN(
        const std::uint64_t bytes,
        resident_bytes(fd.get(), static_cast<std::size_t>(entry.info.st_size), entry.path));
    cached[{entry.info.st_dev, entry.info.st_ino}] = bytes;
    return {};
  });
}

std::uint64_t sum_of(const CachedFiles& cached) {
  std::uint64_t sum = 0;
  for (const auto& [file, bytes] : cached) sum += bytes;
  return sum;
}

Result<void> drop_tree(const std::string& root) {
  ::sync();  // dirty pages stay
  return walk_tree(root, [](const TreeEntry& entry) -> Result<void> {
    if (!S_ISREG(entry.info.st_mode)) return {};
    const UniqueFd fd(::openat(entry.directory, entry.name.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return fail_errno("open", entry.path);
    if (const int code = ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED); code != 0)
      return fail(code, "drop pages of " + entry.path);
    return {};
  });
}

Result<PairCache> cache_of_pair(const std::string& first, const std::string& second) {
  PANAL_TRY(drop_tree(first));
  PANAL_TRY(drop_tree(second));
  CachedFiles cached;
  PairCache out;
  PANAL_TRY(read_tree(first, cached));
  out.one = sum_of(cached);
  if (out.one == 0) return fail(ENODATA, "no page of " + first + " is in the page cache");
  PANAL_TRY(read_tree(second, cached));
  out.both = sum_of(cached);
  return out;
}

}  // namespace panal::bench
