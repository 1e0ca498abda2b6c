#include "engine/kernel/swaps.h"

#include <fcntl.h>
#include <sys/swap.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "engine/kernel/text.h"

namespace panal::kernel {
Result<std::vector<SwapDevice>> parse_swaps(std::string_view text) {
  std::vector<SwapDevice> devices;
  const auto lines = lines_of(text);
  if (lines.empty() || lines[0].rfind("Filename", 0) != 0) return fail(EPROTO, "swaps: no heading");
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto words = words_of(lines[i]);
    const auto bad = [&](const char* what) {
      return fail(EPROTO, "swaps: line " + std::to_string(i + 1) + ": " + what);
    };
    if (words.size() != 5) return bad("not five columns");
    const auto size = parse_number(words[2]);
    const auto used = parse_number(words[3]);
    constexpr std::uint64_t kMostKib = UINT64_MAX / 1024;
    if (!size || !used || *size > kMostKib || *used > kMostKib) return bad("bad size");
    const bool negative = words[4][0] == '-';
    const auto priority = parse_number(words[4].substr(negative ? 1 : 0));
    if (!priority || *priority > 32768) return bad("bad priority");
    devices.push_back({.path = unescape(words[0]),
                       .is_file = words[1] == "file",
                       .size_bytes = *size * 1024,
                       .used_bytes = *used * 1024,
                       .priority = static_cast<int>(*priority) * (negative ? -1 : 1)});
  }
  return devices;
}

Result<std::vector<SwapDevice>> read_swaps(const Tree& tree) {
  auto text = tree.proc.read("swaps");
  if (!text && text.error().is_gone()) return std::vector<SwapDevice>{};
  if (!text) return tl::make_unexpected(std::move(text.error()));
  return parse_swaps(*text);
}

Result<void> make_swap(const std::string& path, std::uint64_t bytes) {
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t pages = bytes / page;
  if (pages < 10) return fail(EINVAL, "make swap " + path + ": smaller than ten pages");
  // Layout: union swap_header in the kernel's include/linux/swap.h. No UUID, no label, no bad
  // pages.
  constexpr std::size_t kVersionAt = 1024;
  constexpr std::size_t kLastPageAt = 1028;
  constexpr std::string_view kSignature = "SWAPSPACE2";
  const std::uint32_t version = 1;
  const auto last = static_cast<std::uint32_t>(std::min<std::uint64_t>(pages - 1, UINT32_MAX));
  std::string header(page, '\0');
  std::memcpy(header.data() + kVersionAt, &version, sizeof version);
  std::memcpy(header.data() + kLastPageAt, &last, sizeof last);
  std::memcpy(header.data() + page - kSignature.size(), kSignature.data(), kSignature.size());
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return fail_errno("open", path);
  const ssize_t put = ::pwrite(fd.get(), header.data(), header.size(), 0);
  if (put < 0) return fail_errno("write", path);
  if (static_cast<std::size_t>(put) != header.size()) return fail(EIO, "short write to " + path);
  if (::fsync(fd.get()) != 0) return fail_errno("fsync", path);
  return {};
}

Result<void> swap_on(const std::string& path, int priority) {
  if (priority < -1 || priority > SWAP_FLAG_PRIO_MASK)
    return fail(EINVAL, "swapon " + path + ": priority " + std::to_string(priority));
  const int flags = priority < 0 ? 0 : SWAP_FLAG_PREFER | (priority << SWAP_FLAG_PRIO_SHIFT);
  if (::swapon(path.c_str(), flags) != 0) return fail_errno("swapon", path);
  return {};
}

Result<void> swap_off(const std::string& path) {
  if (::swapoff(path.c_str()) != 0) return fail_errno("swapoff", path);
  return {};
}

}  // namespace panal::kernel
