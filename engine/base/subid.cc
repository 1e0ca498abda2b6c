#include "engine/base/subid.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <limits>

#include "engine/base/unique_fd.h"

namespace panal {
namespace {

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<SubidLine> parse_line(std::string_view line) {
  const auto first_colon = line.find(':');
  if (first_colon == std::string_view::npos || first_colon == 0) return std::nullopt;
  const auto second_colon = line.find(':', first_colon + 1);
  if (second_colon == std::string_view::npos) return std::nullopt;
  const auto first = number(line.substr(first_colon + 1, second_colon - first_colon - 1));
  const auto count = number(line.substr(second_colon + 1));
  if (!first || !count || *count == 0) return std::nullopt;
  return SubidLine{std::string(line.substr(0, first_colon)), *first, *count};
}

template <typename Visit>
void each_line(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    if (auto line = parse_line(text.substr(0, end))) visit(*line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

Result<std::string> read_text(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT) return std::string();
    return fail_errno("open", path);
  }
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0) return fail_errno("read", path);
    if (got == 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
  }
}

/// Whole or not at all: useradd reads these files at any time.
Result<void> replace_text(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".panal";
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd) return fail_errno("create", temporary);
  if (::fchmod(fd.get(), 0644) != 0) return fail_errno("chmod", temporary);
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return fail_errno("write", temporary);
  if (::fsync(fd.get()) != 0) return fail_errno("fsync", temporary);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno("rename", temporary);
  return {};
}

std::string words_of(const SubidLine& line) {
  return line.owner + ":" + std::to_string(line.first) + ":" + std::to_string(line.count) + "\n";
}

Result<void> append_line(const std::string& path, std::string text, const SubidLine& line) {
  if (!text.empty() && text.back() != '\n') text.push_back('\n');
  return replace_text(path, text + words_of(line));
}

/// The text with the first line of its owner replaced; all else stays as it is.
std::string with_line(std::string_view text, const SubidLine& line) {
  std::string out;
  bool done = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    const std::string_view one = text.substr(0, end);
    if (const auto found = find_subid(one, line.owner); found && !done) {
      out += words_of(line);
      done = true;
    } else {
      out += one;
    }
    text.remove_prefix(end);
  }
  return out;
}

/// Whether all of `wanted` is its owner's or nobody's.
bool is_free_for(const SubidLine& wanted, std::string_view text) {
  const std::uint64_t end = std::uint64_t{wanted.first} + wanted.count;
  // 2^32 - 1 is the "no id" value of the kernel.
  bool free = end <= std::numeric_limits<std::uint32_t>::max();
  each_line(text, [&](const SubidLine& line) {
    const bool apart = line.first >= end || std::uint64_t{line.first} + line.count <= wanted.first;
    if (line.owner != wanted.owner && !apart) free = false;
  });
  return free;
}

bool has_been_asked_for(const SubidLine& line) {
  return line.first >= kSubidLeast &&
         (line.count == kSubidWantedOnce || line.count == kSubidWanted);
}

/// One file after the other: who is killed between them leaves two sizes, both of which are known.
Result<void> grow_line(const std::string& path, const std::string& text, const SubidLine& from,
                       const SubidLine& to) {
  if (from == to) return {};
  return replace_text(path, with_line(text, to));
}

}  // namespace

std::optional<SubidLine> find_subid(std::string_view text, std::string_view owner) {
  std::optional<SubidLine> found;
  each_line(text, [&](const SubidLine& line) {
    if (!found && line.owner == owner) found = line;
  });
  return found;
}

Result<std::uint32_t> choose_subid_start(std::string_view subuid_text, std::string_view subgid_text,
                                         std::uint32_t count) {
  std::uint64_t start = kSubidLeast;
  for (const std::string_view text : {subuid_text, subgid_text}) {
    each_line(text, [&](const SubidLine& line) {
      start = std::max(start, std::uint64_t{line.first} + line.count);
    });
  }
  // 2^32 - 1 is the "no id" value of the kernel.
  if (start + count > std::numeric_limits<std::uint32_t>::max())
    return fail(ENOSPC, "subordinate ids: no " + std::to_string(count) +
                            " ids free past the last entry of /etc/subuid and /etc/subgid");
  return static_cast<std::uint32_t>(start);
}

Result<SubidLine> ensure_subid_lines(const std::string& subuid_file,
                                     const std::string& subgid_file) {
  PANAL_ASSIGN(const std::string uids, read_text(subuid_file));
  PANAL_ASSIGN(const std::string gids, read_text(subgid_file));
  const auto uid_line = find_subid(uids, "root");
  const auto gid_line = find_subid(gids, "root");
  if (uid_line && gid_line) {
    const SubidLine grown{"root", uid_line->first, kSubidWanted};
    if (uid_line->first == gid_line->first && has_been_asked_for(*uid_line) &&
        has_been_asked_for(*gid_line) && is_free_for(grown, uids) && is_free_for(grown, gids)) {
      PANAL_TRY(grow_line(subuid_file, uids, *uid_line, grown));
      PANAL_TRY(grow_line(subgid_file, gids, *gid_line, grown));
      return grown;
    }
    if (uid_line->first != gid_line->first || uid_line->count != gid_line->count)
      return fail(EINVAL, "root's ranges in " + subuid_file + " and " + subgid_file +
                              " differ; make both lines the same");
    return *uid_line;
  }
  // One of the two lines is there: the other must be the same numbers.
  SubidLine line{"root", 0, kSubidWanted};
  if (uid_line) {
    line = *uid_line;
  } else if (gid_line) {
    line = *gid_line;
  } else {
    PANAL_ASSIGN(line.first, choose_subid_start(uids, gids, kSubidWanted));
  }
  if (!uid_line) PANAL_TRY(append_line(subuid_file, uids, line));
  if (!gid_line) PANAL_TRY(append_line(subgid_file, gids, line));
  return line;
}

}  // namespace panal
