#include "bench/density/kernel_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "engine/base/kernel_paths.h"

namespace panal::bench {
namespace {

/// A record is at most 1 KiB of text and its keys (Documentation/ABI/testing/dev-kmsg).
constexpr std::size_t kRecordBytes = 8192;
constexpr std::size_t kLinesOfAKind = 5;
constexpr std::size_t kMostKills = 1000;

bool has(std::string_view line, std::string_view part) {
  return line.find(part) != std::string_view::npos;
}

}  // namespace

std::optional<std::string_view> alarm_of(std::string_view line) {
  // One line a victim has this, with its group (mm/oom_kill.c); the others are words around it.
  if (has(line, "oom-kill:constraint=")) return "oom_kill";
  static constexpr std::pair<std::string_view, std::string_view> kSayings[] = {
      {"fork rejected by pids controller", "fork_rejected"},
      {"neighbor table overflow", "neighbour_table"},
      {"neighbour table overflow", "neighbour_table"},
      {"table full", "table_full"},  // conntrack's, and whoever else has one
      {"file-max limit", "files"},
      {"page allocation failure", "no_page"},
      {"Out of memory", "oom"},
      {"out of memory", "oom"},
      {"invoked oom-killer", "oom"},
      {"oom_reaper", "oom"},
  };
  for (const auto& [part, kind] : kSayings)
    if (has(line, part)) return kind;
  if (line.starts_with("bridge") && has(line, "full")) return "bridge";
  // arch/x86/mm/fault.c and traps.c: no limit, but a program that is gone.
  if (has(line, ": segfault at ") || line.starts_with("traps: ")) return "crash";
  return std::nullopt;
}

bool is_kill_below(std::string_view line, std::string_view group) {
  if (!has(line, "constraint=CONSTRAINT_MEMCG")) return true;
  constexpr std::string_view kKey = ",task_memcg=/";
  const std::size_t at = line.find(kKey);
  if (at == std::string_view::npos) return true;
  std::string_view path = line.substr(at + kKey.size());
  path = path.substr(0, path.find(','));
  return path == group || (path.starts_with(group) && path.substr(group.size()).starts_with('/'));
}

std::string_view text_of_record(std::string_view record) {
  const std::size_t begin = record.find(';');
  if (begin == std::string_view::npos) return {};
  record.remove_prefix(begin + 1);
  return record.substr(0, record.find('\n'));
}

Result<KernelLog> KernelLog::from_now() {
  const std::string path = std::string(kernel_paths::kDev) + "/kmsg";
  KernelLog out;
  out.device_ = UniqueFd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!out.device_) return fail_errno("open", path);
  if (::lseek(out.device_.get(), 0, SEEK_END) < 0) return fail_errno("seek", path);
  return out;
}

void KernelLog::read() {
  char buffer[kRecordBytes];
  while (true) {
    const ssize_t got = ::read(device_.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EPIPE) {  // the next read goes on with the oldest there is
      ++overruns_;
      continue;
    }
    if (got <= 0) return;
    const auto line = text_of_record({buffer, static_cast<std::size_t>(got)});
    const auto kind = alarm_of(line);
    if (!kind) continue;
    auto& count = alarms_[std::string(*kind)];
    if (++count <= kLinesOfAKind) lines_.emplace_back(line);
    if (*kind == "oom_kill" && kills_.size() < kMostKills) kills_.emplace_back(line);
  }
}

std::size_t KernelLog::kills_below(std::string_view group) const {
  return static_cast<std::size_t>(
      std::count_if(kills_.begin(), kills_.end(),
                    [group](const std::string& line) { return is_kill_below(line, group); }));
}

}  // namespace panal::bench
