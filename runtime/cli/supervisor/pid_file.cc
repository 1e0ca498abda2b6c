#include "runtime/cli/supervisor/pid_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>

#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"

namespace panal::supervisor {
namespace {

template <typename Number>
bool take_number(std::string_view& text, Number& out) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
  return true;
}

/// A process that ended but was not reaped has nothing left to adopt.
bool is_zombie(std::string_view stat) {
  const auto name_end = stat.rfind(')');
  return name_end != std::string_view::npos && stat.substr(name_end).starts_with(") Z");
}

Result<std::string> stat_of(pid_t pid) {
  PANAL_ASSIGN(const Dir proc, Dir::open(kernel_paths::kProc));
  auto text = proc.read(std::to_string(pid) + "/stat");
  if (!text && text.error().is_gone()) return fail(ESRCH, "process " + std::to_string(pid));
  return text;
}

}  // namespace

Result<std::uint64_t> parse_start_ticks(std::string_view stat) {
  const auto name_end = stat.rfind(')');
  if (name_end == std::string_view::npos) return fail(EPROTO, "stat file without a name");
  stat.remove_prefix(name_end + 1);
  // Field 3 follows; field 22 is the 20th from here.
  for (int field = 3; field <= 22; ++field) {
    const auto begin = stat.find_first_not_of(" \n");
    if (begin == std::string_view::npos) return fail(EPROTO, "stat file is too short");
    stat.remove_prefix(begin);
    if (field == 22) break;
    const auto end = stat.find(' ');
    if (end == std::string_view::npos) return fail(EPROTO, "stat file is too short");
    stat.remove_prefix(end);
  }
  std::uint64_t ticks = 0;
  if (!take_number(stat, ticks)) return fail(EPROTO, "start time in a stat file");
  return ticks;
}

Result<ProcessIdentity> identify(pid_t pid) {
  PANAL_ASSIGN(const std::string stat, stat_of(pid));
  PANAL_ASSIGN(const std::uint64_t ticks, parse_start_ticks(stat));
  return ProcessIdentity{pid, ticks};
}

Result<void> write_pid_file(const std::string& file, const ProcessIdentity& identity) {
  const std::string fresh = file + ".new";
  const std::string text =
      std::to_string(identity.pid) + " " + std::to_string(identity.start_ticks) + "\n";
  {
    const UniqueFd fd(open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!fd) return fail_errno("write", fresh);
    const ssize_t done = write(fd.get(), text.data(), text.size());
    if (done < 0) return fail_errno("write", fresh);
    if (static_cast<std::size_t>(done) != text.size()) return fail(ENOSPC, "write " + fresh);
  }
  if (rename(fresh.c_str(), file.c_str()) != 0) return fail_errno("rename", fresh);
  return {};
}

Result<std::optional<Pidfd>> open_recorded(const std::string& file) {
  const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd) return fail_errno("read", file);
  std::array<char, 64> buffer{};
  const ssize_t got = read(fd.get(), buffer.data(), buffer.size());
  if (got < 0) return fail_errno("read", file);
  std::string_view text(buffer.data(), static_cast<std::size_t>(got));
  ProcessIdentity recorded;
  if (!take_number(text, recorded.pid) || !take_number(text, recorded.start_ticks) ||
      text != "\n" || recorded.pid <= 0) {
    return std::nullopt;
  }
  // Held first, looked at then: what the pid means cannot change in between.
  auto held = Pidfd::open(recorded.pid);
  if (!held && held.error().is_gone()) return std::nullopt;
  if (!held) return tl::make_unexpected(std::move(held.error()));
  const auto stat = stat_of(recorded.pid);
  if (!stat || is_zombie(*stat)) return std::nullopt;
  const auto ticks = parse_start_ticks(*stat);
  if (!ticks || *ticks != recorded.start_ticks) return std::nullopt;
  return std::move(*held);
}

}  // namespace panal::supervisor
