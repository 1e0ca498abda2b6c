#include "engine/kernel/smaps.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <utility>

#include "engine/kernel/text.h"

namespace panal::kernel {
namespace {

/// "Rss:      1632 kB" in bytes.
std::optional<std::uint64_t> kib_value(std::string_view text) {
  const auto words = words_of(text);
  const auto value = words.empty() ? std::nullopt : parse_number(words[0]);
  if (!value || *value > UINT64_MAX / 1024 || words.size() != 2 || words[1] != "kB")
    return std::nullopt;
  return *value * 1024;
}

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, 16);
  if (error != std::errc{} || stop != end || text.empty()) return std::nullopt;
  return value;
}

/// "7f12a000-7f12b000" as start and length.
std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto start = parse_hex(text.substr(0, dash));
  const auto end = parse_hex(text.substr(dash + 1));
  if (!start || !end || *end < *start) return std::nullopt;
  return std::pair{*start, *end - *start};
}

/// The "Name:" of a line "Name:   value", or nothing.
std::string_view label_of(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || line.substr(0, colon).find(' ') != std::string_view::npos)
    return {};
  return line.substr(0, colon);
}

}  // namespace

Result<SmapsRollup> parse_smaps_rollup(std::string_view text) {
  using S = SmapsRollup;
  static constexpr std::pair<std::string_view, std::uint64_t S::*> kKnown[] = {
      {"Rss", &S::rss},  // the first two are required
      {"Pss", &S::pss},
      {"Pss_Anon", &S::pss_anon},
      {"Pss_File", &S::pss_file},
      {"Pss_Shmem", &S::pss_shmem},
      {"Pss_Dirty", &S::pss_dirty},
      {"Anonymous", &S::anon},
      {"Swap", &S::swap},
      {"SwapPss", &S::swap_pss},
      {"KSM", &S::ksm}};
  SmapsRollup rollup;
  unsigned seen = 0;
  for (const std::string_view line : lines_of(text)) {
    const std::string_view label = label_of(line);
    for (std::size_t i = 0; i < std::size(kKnown) && !label.empty(); ++i) {
      if (label != kKnown[i].first) continue;
      const auto value = kib_value(line.substr(label.size() + 1));
      if (!value) return fail(EPROTO, "smaps_rollup: bad value of " + std::string(label));
      rollup.*kKnown[i].second = *value;
      if (i < 2) seen |= 1U << i;
    }
  }
  if (seen != 3U) return fail(EPROTO, "smaps_rollup: Rss or Pss is absent");
  return rollup;
}

Result<SmapsRollup> read_smaps_rollup(const Tree& tree, pid_t pid) {
  const std::string file = std::to_string(pid) + "/smaps_rollup";
  PANAL_ASSIGN(const std::string text, tree.proc.read(file));
  if (text.empty()) return fail(ESRCH, "read " + tree.proc.path() + "/" + file);
  return parse_smaps_rollup(text);
}

void add(SmapsRollup& sum, const SmapsRollup& one) {
  sum.rss += one.rss;
  sum.pss += one.pss;
  sum.pss_anon += one.pss_anon;
  sum.pss_file += one.pss_file;
  sum.pss_shmem += one.pss_shmem;
  sum.pss_dirty += one.pss_dirty;
  sum.anon += one.anon;
  sum.swap += one.swap;
  sum.swap_pss += one.swap_pss;
  sum.ksm += one.ksm;
}

Result<void> SmapsParser::feed(std::string_view piece) {
  constexpr std::size_t kLongestLine = 16384;  // a path of 4096 bytes, each escaped to four
  for (;;) {
    const std::size_t end = piece.find('\n');
    if (end == std::string_view::npos) break;
    if (rest_.empty()) {
      PANAL_TRY(line(piece.substr(0, end)));
    } else {
      rest_.append(piece.substr(0, end));
      PANAL_TRY(line(rest_));
      rest_.clear();
    }
    piece.remove_prefix(end + 1);
  }
  if (rest_.size() + piece.size() > kLongestLine + 128)
    return fail(EPROTO, "smaps: a line without end");
  rest_.append(piece);
  return {};
}

Result<void> SmapsParser::line(std::string_view text) {
  using M = MemoryMapping;
  static constexpr std::pair<std::string_view, std::uint64_t M::*> kKnown[] = {
      {"Rss", &M::rss}, {"Anonymous", &M::anon}, {"Swap", &M::swap}, {"KSM", &M::ksm}};
  const std::string_view label = label_of(text);
  if (label.empty()) {
    // "7f12a000-7f12b000 rw-p 00000000 00:00 0    [heap]"
    const auto range = parse_range(text.substr(0, text.find(' ')));
    if (!range) return fail(EPROTO, "smaps: neither an address range nor a value");
    if (open_) done_.push_back(current_);
    current_ = {};
    current_.start = range->first;
    current_.bytes = range->second;
    open_ = true;
    return {};
  }
  if (!open_) return fail(EPROTO, "smaps: a value before the first address range");
  const std::string_view value_text = text.substr(label.size() + 1);
  if (label == "VmFlags") {
    for (const std::string_view flag : words_of(value_text))
      current_.locked =
          current_.locked || flag == "lo" || flag == "ht" || flag == "pf" || flag == "io";
    return {};
  }
  for (const auto& [name, member] : kKnown) {
    if (label != name) continue;
    const auto value = kib_value(value_text);
    if (!value) return fail(EPROTO, "smaps: bad value of " + std::string(label));
    current_.*member = *value;
  }
  return {};
}

std::vector<MemoryMapping> SmapsParser::take() { return std::exchange(done_, {}); }

Result<void> SmapsParser::finish() {
  if (!rest_.empty()) return fail(EPROTO, "smaps: the last line has no end");
  if (open_) done_.push_back(current_);
  open_ = false;
  return {};
}

Result<SmapsWalk> walk_smaps(const Tree& tree, pid_t pid, const SmapsBudget& budget) {
  const std::string file = std::to_string(pid) + "/smaps";
  PANAL_ASSIGN(const UniqueFd fd, tree.proc.open_file(file, O_RDONLY));
  SmapsWalk walk;
  SmapsParser parser;
  walk.next_address = budget.from_address;
  const auto keep = [&] {
    for (const MemoryMapping& mapping : parser.take()) {
      if (mapping.start < budget.from_address) continue;
      walk.next_address = mapping.start + mapping.bytes;
      const std::uint64_t private_bytes = mapping.anon + mapping.swap;
      if (private_bytes != 0 && private_bytes >= budget.least_bytes)
        walk.mappings.push_back(mapping);
    }
  };
  std::array<char, 32768> buffer;
  while (std::chrono::steady_clock::now() < budget.deadline &&
         walk.text_bytes < budget.text_bytes) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read", tree.proc.path() + "/" + file);
    if (got == 0) {
      if (walk.text_bytes == 0) return fail(ESRCH, "read " + tree.proc.path() + "/" + file);
      PANAL_TRY(parser.finish());
      keep();
      walk.complete = true;
      walk.next_address = 0;
      return walk;
    }
    walk.text_bytes += static_cast<std::uint64_t>(got);
    PANAL_TRY(parser.feed({buffer.data(), static_cast<std::size_t>(got)}));
    keep();
  }
  return walk;
}

}  // namespace panal::kernel
