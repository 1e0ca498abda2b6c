#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string_view>

#include "engine/kernel/text.h"
#include "runtime/optimiser/hot_memory.h"

namespace panal::optimiser {
namespace {

constexpr std::uint64_t kPage = 4096;
/// What a process can have with four levels of page tables.
constexpr std::uint64_t kAddressEnd = std::uint64_t{1} << 47;
constexpr const char* kFormat = "panal-hot-1";

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, 16);
  if (text.empty() || error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

Failure malformed(std::size_t line, const char* what) {
  return fail(EPROTO, fmt::format("hot memory, line {}: {}", line, what));
}

/// "process PID STARTED display|other".
std::optional<HotProcess> parse_process(const std::vector<std::string_view>& words) {
  if (words.size() != 4 || (words[3] != "display" && words[3] != "other")) return std::nullopt;
  const auto pid = kernel::parse_number(words[1]);
  const auto started = kernel::parse_number(words[2]);
  if (!pid || !started || *pid == 0 || *pid > INT32_MAX) return std::nullopt;
  return HotProcess{static_cast<pid_t>(*pid), *started, words[3] == "display", {}};
}

/// "START BYTES", hexadecimal.
std::optional<kernel::AddressRange> parse_range(const std::vector<std::string_view>& words) {
  if (words.size() != 2) return std::nullopt;
  const auto start = parse_hex(words[0]);
  const auto bytes = parse_hex(words[1]);
  if (!start || !bytes || *bytes == 0 || *start % kPage != 0 || *bytes % kPage != 0)
    return std::nullopt;
  if (*start >= kAddressEnd || *bytes > kAddressEnd - *start) return std::nullopt;
  return kernel::AddressRange{*start, *bytes};
}

}  // namespace

std::string print_hot_memory(const SavedHotMemory& saved) {
  std::string text = fmt::format("{} {}\n", kFormat, saved.boot);
  for (const HotProcess& process : saved.hot.processes) {
    text += fmt::format("process {} {} {}\n", process.pid, process.started,
                        process.display ? "display" : "other");
    for (const kernel::AddressRange& range : process.ranges)
      text += fmt::format("{:x} {:x}\n", range.start, range.bytes);
  }
  return text;
}

Result<SavedHotMemory> parse_hot_memory(const std::string& text) {
  SavedHotMemory saved;
  std::size_t number = 0;
  std::size_t ranges = 0;
  for (const std::string_view line : kernel::lines_of(text)) {
    ++number;
    const auto words = kernel::words_of(line);
    if (number == 1) {
      if (words.size() != 2 || words[0] != kFormat) return malformed(number, "another format");
      saved.boot = words[1];
      continue;
    }
    std::vector<HotProcess>& processes = saved.hot.processes;
    if (!words.empty() && words[0] == "process") {
      auto process = parse_process(words);
      if (!process) return malformed(number, "no process");
      if (processes.size() == kMostHotProcesses) return malformed(number, "too many processes");
      processes.push_back(std::move(*process));
      continue;
    }
    const auto range = parse_range(words);
    if (!range || processes.empty()) return malformed(number, "no range");
    if (++ranges > kMostHotRanges) return malformed(number, "too many ranges");
    std::vector<kernel::AddressRange>& before = processes.back().ranges;
    if (!before.empty() && range->start < before.back().start + before.back().bytes)
      return malformed(number, "ranges out of order");
    before.push_back(*range);
  }
  if (number == 0) return malformed(1, "nothing there");
  return saved;
}

}  // namespace panal::optimiser
