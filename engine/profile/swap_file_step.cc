#include "engine/profile/swap_file_step.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "engine/base/cleanup.h"
#include "engine/kernel/swaps.h"
#include "engine/kernel/text.h"
#include "engine/profile/swap_room.h"
#include "engine/profile/units.h"

namespace panal::profile {
namespace {

constexpr const char* kNoSwapFile = "off";
constexpr const char* kHalfMade = "half made";
constexpr decltype(std::declval<struct statfs>().f_type) kXfs = 0x58465342;  // no header has it

/// The file system of a directory, or of the nearest one above it that is there.
Result<struct statfs> file_system_of(std::string directory) {
  for (;;) {
    struct statfs found{};
    if (::statfs(directory.c_str(), &found) == 0) return found;
    if (errno != ENOENT || directory.size() <= 1) return fail_errno("statfs", directory);
    directory.resize(std::max<std::size_t>(directory.rfind('/'), 1));
  }
}

std::string_view name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

/// The line of /proc/swaps for that file. Seen from another mount namespace its path there may be
/// the end of the whole one only.
Result<std::optional<SwapDevice>> swap_on_file(const Tree& tree, const std::string& file) {
  struct stat ours{};
  if (::stat(file.c_str(), &ours) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<SwapDevice>();
    return fail_errno("stat", file);
  }
  PANAL_ASSIGN(const auto swaps, kernel::read_swaps(tree));
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  for (const SwapDevice& swap : swaps) {
    if (!swap.is_file || name_of(swap.path) != name_of(file)) continue;
    struct stat there{};
    const bool same = ::stat(swap.path.c_str(), &there) == 0
                          ? there.st_dev == ours.st_dev && there.st_ino == ours.st_ino
                          : swap.size_bytes + page == static_cast<std::uint64_t>(ours.st_size);
    if (same) return std::optional<SwapDevice>(swap);
  }
  return std::optional<SwapDevice>();
}

}  // namespace

std::string print_swap_file_state(const SwapFileSettings& settings) {
  return fmt::format("size={} priority={}", settings.bytes, settings.priority);
}

Result<SwapFileSettings> parse_swap_file_state(const std::string& text) {
  const auto words = kernel::split(text, ' ');
  const auto value_of = [&](std::size_t word, std::string_view key) {
    return words.size() == 2 && words[word].starts_with(key)
               ? kernel::parse_number(words[word].substr(key.size()))
               : std::nullopt;
  };
  const auto bytes = value_of(0, "size=");
  const auto priority = value_of(1, "priority=");
  constexpr std::uint64_t kMostPriority = 32'767;
  if (!bytes || *bytes == 0 || !priority || *priority > kMostPriority)
    return fail(EINVAL, "swap_file: no such state: " + text);
  const SwapFileSettings settings{*bytes, static_cast<int>(*priority)};
  if (print_swap_file_state(settings) != text)
    return fail(EINVAL, "swap_file: no such state: " + text);
  return settings;
}

Result<std::string> SwapFileStep::state(const std::string& /*name*/) {
  PANAL_ASSIGN(const auto swap, swap_on_file(tree_, file_));
  if (swap) {
    struct stat info{};
    if (::stat(file_.c_str(), &info) != 0) return fail_errno("stat", file_);
    return print_swap_file_state({static_cast<std::uint64_t>(info.st_size), swap->priority});
  }
  struct stat left{};
  if (::lstat(file_.c_str(), &left) == 0) return std::string(kHalfMade);
  PANAL_ASSIGN(const auto place, file_system_of(file_.substr(0, file_.rfind('/'))));
  if (place.f_type != EXT4_SUPER_MAGIC && place.f_type != kXfs)
    return fail(ENOENT, file_ + ": a swap file wants ext4 or xfs, and that is neither");
  return std::string(kNoSwapFile);
}

Result<void> SwapFileStep::bring(const std::string& name, const std::string& wanted) {
  PANAL_ASSIGN(const std::string now, state(name));
  // Nobody wants half of one back.
  if (wanted == kNoSwapFile || wanted == kHalfMade) return stop();
  if (now == wanted) return {};
  PANAL_ASSIGN(const auto settings, parse_swap_file_state(wanted));
  PANAL_TRY(stop());
  return start(settings);
}

Result<void> SwapFileStep::start(const SwapFileSettings& settings) const {
  const UniqueFd fd(
      ::open(file_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail_errno("make", file_);
  Cleanup undo([this] { ::unlink(file_.c_str()); });
  // No holes, which the kernel would not swap to.
  if (::fallocate(fd.get(), 0, 0, static_cast<off_t>(settings.bytes)) != 0)
    return fail_errno(fmt::format("make room of {} MiB in", settings.bytes / kMib), file_);
  PANAL_TRY(kernel::make_swap(file_, settings.bytes));
  PANAL_TRY(kernel::swap_on(file_, settings.priority));
  undo.release();
  return {};
}

Result<void> SwapFileStep::stop() const {
  PANAL_ASSIGN(const auto swap, swap_on_file(tree_, file_));
  if (swap) {
    PANAL_TRY(check_room_for_swapped(tree_, *swap, file_));
    PANAL_TRY(kernel::swap_off(file_));
  }
  if (::unlink(file_.c_str()) != 0 && errno != ENOENT) return fail_errno("remove", file_);
  return {};
}

}  // namespace panal::profile
