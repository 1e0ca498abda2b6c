#include "bench/backends/file_probe.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <string_view>

#include "bench/density/stopwatch.h"
#include "engine/base/unique_fd.h"

namespace panal::bench {
namespace {

Result<UniqueFd> open_file(const std::string& root, const std::string& file) {
  const std::string path = root + "/" + file;
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return fail_errno("open", path);
  return fd;
}

}  // namespace

Result<Reading> read_files(const std::string& root, const std::vector<std::string>& files) {
  Reading out;
  std::vector<char> buffer(std::size_t{256} << 10U);
  const auto begin = Clock::now();
  for (const std::string& file : files) {
    PANAL_ASSIGN(const UniqueFd fd, open_file(root, file));
    for (;;) {
      const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
      if (got < 0) return fail_errno("read", file);
      if (got == 0) break;
      out.bytes += static_cast<std::uint64_t>(got);
    }
  }
  out.milliseconds = seconds_since(begin) * 1000;
  return out;
}

Result<std::uint64_t> cached_bytes(const std::string& root, const std::vector<std::string>& files) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::uint64_t sum = 0;
  for (const std::string& file : files) {
    PANAL_ASSIGN(const UniqueFd fd, open_file(root, file));
    struct stat info{};
    if (::fstat(fd.get(), &info) != 0) return fail_errno("stat", file);
    const auto size = static_cast<std::size_t>(info.st_size);
    if (size == 0) continue;
    void* map = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (map == MAP_FAILED) return fail_errno("map", file);
    std::vector<unsigned char> present((size + page - 1) / page);
    const int looked = ::mincore(map, size, present.data());
    const int code = errno;
    ::munmap(map, size);
    if (looked != 0) return fail(code, "mincore of " + file);
    for (const unsigned char one : present)
      if ((one & 1U) != 0) sum += page;
  }
  return sum;
}

Result<void> drop_files(const std::string& root, const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    PANAL_ASSIGN(const UniqueFd fd, open_file(root, file));
    // Dirty pages stay; a version on a read-only mount has none.
    (void)::fsync(fd.get());
    if (const int code = ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED); code != 0)
      return fail(code, "forget the pages of " + file);
  }
  return {};
}

Result<std::uint64_t> parse_cached(const std::string& text) {
  constexpr std::string_view kKey = "\nCached:";
  const auto at = text.find(kKey);
  if (at == std::string::npos) return fail(EPROTO, "meminfo has no Cached");
  const auto first = text.find_first_not_of(' ', at + kKey.size());
  std::uint64_t kib = 0;
  if (first == std::string::npos) return fail(EPROTO, "meminfo: Cached has no number");
  const auto [end, error] = std::from_chars(text.data() + first, text.data() + text.size(), kib);
  if (error != std::errc{} || !std::string_view(end).starts_with(" kB"))
    return fail(EPROTO, "meminfo: Cached is no number of kB");
  return kib * 1024;
}

Result<std::uint64_t> page_cache_bytes(const Tree& tree) {
  PANAL_ASSIGN(const std::string text, tree.proc.read("meminfo"));
  return parse_cached(text);
}

Result<Looking> look_at(const std::string& root, const std::vector<std::string>& files) {
  Looking out;
  for (const std::string& file : files) {
    const std::string path = root + "/" + file;
    struct stat info{};
    const auto begin = Clock::now();
    if (::lstat(path.c_str(), &info) != 0) return fail_errno("stat", path);
    const auto middle = Clock::now();
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return fail_errno("open", path);
    ::close(fd);
    const auto end = Clock::now();
    const auto us = [](Clock::duration time) {
      return std::chrono::duration<double, std::micro>(time).count();
    };
    out.stat_us.push_back(us(middle - begin));
    out.open_us.push_back(us(end - middle));
  }
  return out;
}

}  // namespace panal::bench
