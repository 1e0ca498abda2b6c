#include "runtime/cli/desktop_logs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <thread>

#include "engine/base/log.h"
#include "engine/base/tree.h"
#include "engine/base/unique_fd.h"

namespace panal::cli {
namespace {

constexpr off_t kTailBytes = 256 * 1024;

/// Bytes of a regular file from `begin` on, at most `most`; returns where it ended.
Result<std::string> read_from(const std::string& file, off_t& begin, bool at_most_tail) {
  const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!fd) return fail_errno("read", file);
  struct stat status{};
  if (fstat(fd.get(), &status) != 0) return fail_errno("read", file);
  if (!S_ISREG(status.st_mode)) return fail(EINVAL, file + " is no regular file");
  if (status.st_size < begin) begin = 0;  // it was cut or replaced
  if (at_most_tail) begin = std::max(begin, status.st_size - kTailBytes);
  std::string text(static_cast<std::size_t>(std::min(status.st_size - begin, kTailBytes)), '\0');
  const ssize_t got = pread(fd.get(), text.data(), text.size(), begin);
  if (got < 0) return fail_errno("read", file);
  text.resize(static_cast<std::size_t>(got));
  begin += got;
  return text;
}

}  // namespace

Result<std::string> tail_of(const std::string& file, std::uint32_t lines) {
  off_t begin = 0;
  PANAL_ASSIGN(std::string text, read_from(file, begin, true));
  std::size_t at = text.size();
  if (at != 0 && text.back() == '\n') --at;
  for (std::uint32_t i = 0; i < lines; ++i) {
    if (at == 0) return text;
    const auto newline = text.rfind('\n', at - 1);
    if (newline == std::string::npos) return text;
    at = newline;
  }
  return text.substr(at + 1);
}

void print_lines(std::ostream& out, const std::string& text) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    const auto end = std::min(text.find('\n', begin), text.size());
    out << printable(std::string_view(text).substr(begin, end - begin), 4096) << "\n";
    begin = end + 1;
  }
}

ExitCode print_logs(Shell& shell, const std::string& directory, std::uint32_t lines, bool follow) {
  auto opened = Dir::open(directory);
  if (!opened && opened.error().is_gone()) {
    return shell.refuse(
        ExitCode::kNotFound,
        fmt::format("there are no logs in {}: it was never started here", directory));
  }
  if (!opened) return shell.told(opened.error());
  std::map<std::string, off_t> ends;
  std::string last;
  bool first = true;
  do {
    PANAL_CLI_ASSIGN(shell, auto names, opened->list());
    std::sort(names.begin(), names.end());
    for (const auto& name : names) {
      const std::string file = directory + "/" + name;
      off_t end = 0;
      std::string text;
      if (first) {
        auto tail = tail_of(file, lines);
        struct stat status{};
        if (!tail || lstat(file.c_str(), &status) != 0) continue;
        text = std::move(*tail);
        end = status.st_size;
      } else {
        end = ends.contains(name) ? ends[name] : 0;
        auto more = read_from(file, end, false);
        if (!more) continue;
        text = std::move(*more);
      }
      ends[name] = end;
      if (text.empty()) continue;
      if (last != name) shell.out << fmt::format("==> {} <==\n", printable(name, 200));
      last = name;
      print_lines(shell.out, text);
    }
    shell.out << std::flush;
    first = false;
    if (follow) std::this_thread::sleep_for(std::chrono::milliseconds(500));
  } while (follow && shell.out);
  return ExitCode::kOk;
}

}  // namespace panal::cli
