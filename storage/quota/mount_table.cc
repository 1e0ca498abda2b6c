#include "storage/quota/mount_table.h"

#include <algorithm>
#include <array>

#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"

namespace panal::storage {
namespace {

/// Octal escapes of space, tab, newline and backslash (and whatever else the kernel writes so).
std::string unescaped_field(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t at) {
      return at < text.size() && text[at] >= '0' && text[at] <= '7';
    };
    if (text[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      const int value = (text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0');
      if (value > 0 && value < 256) {
        out += static_cast<char>(value);
        i += 3;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

/// The next word, cut off `rest`; empty at the end of the line.
std::string_view next_word(std::string_view& rest) {
  const std::size_t end = std::min(rest.find(' '), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return word;
}

bool parse_mount_line(std::string_view line, MountLine& out) {
  for (int i = 0; i < 4; ++i)  // id, parent, device, root
    if (next_word(line).empty()) return false;
  out.point = unescaped_field(next_word(line));
  if (out.point.empty() || out.point.front() != '/') return false;
  if (next_word(line).empty()) return false;  // the mount's own options
  for (;;) {                                  // optional fields, ended by a hyphen
    const std::string_view word = next_word(line);
    if (word.empty()) return false;
    if (word == "-") break;
  }
  out.type = unescaped_field(next_word(line));
  // A source may be empty, and is then an empty word between two spaces.
  out.source = unescaped_field(next_word(line));
  out.options = unescaped_field(next_word(line));
  return !out.type.empty();
}

}  // namespace

Result<std::vector<MountLine>> parse_mountinfo(std::string_view text) {
  std::vector<MountLine> table;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    MountLine line;
    if (!parse_mount_line(text.substr(0, end), line))
      return fail(EPROTO, "mountinfo: line " + std::to_string(number) + " is none");
    table.push_back(std::move(line));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return table;
}

const MountLine* mount_of(const std::vector<MountLine>& table, std::string_view path) {
  const MountLine* best = nullptr;
  for (const MountLine& line : table) {
    const std::string& point = line.point;
    const bool below = point == "/" || (path.starts_with(point) &&
                                        (path.size() == point.size() || path[point.size()] == '/'));
    // What was mounted later lies on top of what was mounted before at the same place.
    if (below && (best == nullptr || point.size() >= best->point.size())) best = &line;
  }
  return best;
}

bool is_mounted_at(const std::vector<MountLine>& table, std::string_view path) {
  for (const MountLine& line : table)
    if (line.point == path) return true;
  return false;
}

Result<std::vector<MountLine>> read_mount_table() {
  PANAL_ASSIGN(const Dir proc, Dir::open(kernel_paths::kProc));
  constexpr std::size_t kMost = std::size_t{16} << 20U;  // thousands of desktops, some lines each
  PANAL_ASSIGN(const std::string text, proc.read("self/mountinfo", kMost));
  return parse_mountinfo(text);
}

bool is_remote_type(std::string_view type) {
  constexpr std::array<std::string_view, 12> kRemote = {"nfs",  "nfs4",  "cifs",      "smb3",
                                                        "9p",   "ceph",  "afs",       "lustre",
                                                        "gfs2", "ocfs2", "glusterfs", "virtiofs"};
  for (const std::string_view known : kRemote)
    if (type == known) return true;
  // fuse.sshfs and the like; fuseblk is a local disk.
  return type == "fuse" || type.starts_with("fuse.");
}

}  // namespace panal::storage
