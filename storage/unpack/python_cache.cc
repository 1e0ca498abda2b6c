#include "storage/unpack/python_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string_view>

#include "engine/base/file_tree.h"
#include "engine/base/unique_fd.h"
#include "storage/unpack/entry_rules.h"

namespace panal::storage::unpack {
namespace {

/// Magic numbers of Python 3.7 and later; from 20,000 on they are Python 2's.
constexpr std::uint32_t kLeastMagic = 3394;
constexpr std::uint32_t kPastMagic = 20'000;
constexpr off_t kFlagsOffset = 4;
/// Flags: a hash stands where time and size would be, and nobody need look at it.
constexpr std::array<unsigned char, 4> kUnchecked = {1, 0, 0, 0};

constexpr std::string_view kCompiled = ".pyc";

std::uint32_t number_at(std::span<const unsigned char> bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i) number |= static_cast<std::uint32_t>(bytes[at + i]) << 8U * i;
  return number;
}

bool ends_in(std::string_view text, std::string_view end) {
  return text.size() > end.size() && text.substr(text.size() - end.size()) == end;
}

/// "../mod.py" for "usr/lib/__pycache__/mod.cpython-311.pyc"; empty for what is no compiled file.
std::string source_of(const TreeEntry& entry) {
  if (!S_ISREG(entry.info.st_mode) || !ends_in(entry.name, kCompiled)) return {};
  const std::string_view path(entry.path);
  const std::string_view directory = path.substr(0, path.size() - entry.name.size());
  if (directory != "__pycache__/" && !ends_in(directory, "/__pycache__/")) return {};
  return "../" + entry.name.substr(0, entry.name.find('.')) + ".py";
}

Result<bool> pin(const TreeEntry& entry, const std::string& source) {
  struct stat info{};
  if (::fstatat(entry.directory, source.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISREG(info.st_mode))
    return false;
  const UniqueFd file(
      ::openat(entry.directory, entry.name.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (!file) return failed_at("open", entry.path);
  std::array<unsigned char, kPythonHeader> header{};
  if (::pread(file.get(), header.data(), header.size(), 0) != static_cast<ssize_t>(header.size()))
    return false;
  if (!is_fresh_cache(header, info.st_mtim.tv_sec, info.st_size)) return false;
  if (::pwrite(file.get(), kUnchecked.data(), kUnchecked.size(), kFlagsOffset) !=
      static_cast<ssize_t>(kUnchecked.size()))
    return failed_at("write", entry.path);
  return true;
}

}  // namespace

bool is_fresh_cache(std::span<const unsigned char> header, std::int64_t source_modified_s,
                    std::int64_t source_bytes) {
  if (header.size() < kPythonHeader) return false;
  const std::uint32_t magic = number_at(header, 0);
  // A number of 16 bits, then carriage return and newline.
  if (magic >> 16U != 0x0a0dU || (magic & 0xffffU) < kLeastMagic || (magic & 0xffffU) >= kPastMagic)
    return false;
  return number_at(header, 4) == 0 &&
         number_at(header, 8) == static_cast<std::uint32_t>(source_modified_s) &&
         number_at(header, 12) == static_cast<std::uint32_t>(source_bytes);
}

Result<std::uint64_t> pin_python_caches(const std::string& root) {
  std::uint64_t pinned = 0;
  PANAL_TRY(walk_tree(root, [&pinned](const TreeEntry& entry) -> Result<void> {
    const std::string source = source_of(entry);
    if (source.empty()) return {};
    PANAL_ASSIGN(const bool done, pin(entry, source));
    if (done) ++pinned;
    return {};
  }));
  return pinned;
}

}  // namespace panal::storage::unpack
