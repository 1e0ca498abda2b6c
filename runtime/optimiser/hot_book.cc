#include "runtime/optimiser/hot_book.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "engine/base/unique_fd.h"
#include "engine/kernel/process_start.h"
#include "engine/kernel/text.h"

namespace panal::optimiser {
namespace {

/// 1,024 ranges and 256 processes take 45 KiB.
constexpr std::size_t kLargestFile = 128 << 10;

std::optional<DesktopId> number_of(const std::string& name) {
  const auto number = kernel::parse_number(name);
  if (!number || *number > INT64_MAX) return std::nullopt;
  return static_cast<DesktopId>(*number);
}

}  // namespace

std::string HotBook::file_of(DesktopId id) const { return directory_ + "/" + std::to_string(id); }

std::string HotBook::boot_id() const {
  auto text = tree_.proc.read("sys/kernel/random/boot_id").value_or(std::string());
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.empty() ? "unknown" : text;
}

/// A desktop that was started anew has none of its former processes.
bool HotBook::lives(const HotMemory& hot) const {
  return std::any_of(hot.processes.begin(), hot.processes.end(), [this](const HotProcess& one) {
    const auto started = kernel::read_process_start(tree_, one.pid);
    return started && *started == one.started;
  });
}

Result<void> HotBook::load() {
  if (directory_.empty()) return {};
  const auto dir = Dir::open(directory_);
  if (!dir && dir.error().is_gone()) return {};
  if (!dir) return tl::make_unexpected(dir.error());
  PANAL_ASSIGN(const std::vector<std::string> names, dir->list());
  const std::string boot = boot_id();
  for (const std::string& name : names) {
    const auto id = number_of(name);
    const auto text = dir->read(name, kLargestFile);
    auto saved = text ? parse_hot_memory(*text) : tl::make_unexpected(text.error());
    if (!id || !saved || saved->boot != boot || !lives(saved->hot)) {
      (void)::unlinkat(dir->fd(), name.c_str(), 0);  // it is worth nothing: one reconnect
      continue;
    }
    const std::lock_guard lock(mutex_);
    known_.try_emplace(*id, std::make_shared<const HotMemory>(std::move(saved->hot)));
  }
  return {};
}

std::shared_ptr<const HotMemory> HotBook::find(DesktopId id) const {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(id);
  return found == known_.end() ? nullptr : found->second;
}

Result<void> HotBook::keep(DesktopId id, HotMemory hot) {
  auto kept = std::make_shared<const HotMemory>(std::move(hot));
  {
    const std::lock_guard lock(mutex_);
    known_[id] = kept;
  }
  if (directory_.empty()) return {};
  if (::mkdir(directory_.c_str(), 0700) != 0 && errno != EEXIST)
    return fail_errno("make directory", directory_);
  const std::string fresh = file_of(id) + ".new";
  const std::string text = print_hot_memory({boot_id(), *kept});
  {
    UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return fail_errno("open", fresh);
    // Not synced: what a crash of the machine loses is void after it anyway.
    const ssize_t written = ::write(fd.get(), text.data(), text.size());
    if (written < 0) return fail_errno("write", fresh);
    if (written != static_cast<ssize_t>(text.size())) return fail(ENOSPC, "write " + fresh);
  }
  if (::rename(fresh.c_str(), file_of(id).c_str()) != 0) return fail_errno("rename", fresh);
  return {};
}

void HotBook::forget(DesktopId id) {
  {
    const std::lock_guard lock(mutex_);
    known_.erase(id);
  }
  if (!directory_.empty()) (void)::unlink(file_of(id).c_str());
}

}  // namespace panal::optimiser
