#include "engine/kernel/kernel_objects.h"

#include <algorithm>
#include <string>

#include "engine/kernel/sysctl.h"
#include "engine/kernel/text.h"

namespace panal::kernel {
namespace {

/// "3/1000000". Nothing for another text.
std::optional<ObjectCount> used_of(std::string_view pair) {
  const auto pieces = split(pair, '/');
  if (pieces.size() != 2) return std::nullopt;
  const auto used = parse_number(pieces[0]);
  const auto limit = parse_number(pieces[1]);
  if (!used || !limit) return std::nullopt;
  return ObjectCount{*used, *limit, 0};
}

Result<std::uint64_t> read_one(const Tree& tree, const std::string& name) {
  PANAL_ASSIGN(const std::string text, read_sysctl(tree, name));
  const auto value = parse_number(text);
  if (!value) return fail(EPROTO, "sysctl " + name + ": not one number");
  return *value;
}

}  // namespace

Result<ObjectCount> parse_file_nr(std::string_view text) {
  const auto words = words_of(text);
  if (words.size() != 3) return fail(EPROTO, "file-nr: not three numbers");
  const auto allocated = parse_number(words[0]);
  const auto free = parse_number(words[1]);
  const auto limit = parse_number(words[2]);
  if (!allocated || !free || !limit) return fail(EPROTO, "file-nr: not three numbers");
  return ObjectCount{*allocated - std::min(*allocated, *free), *limit, 0};
}

Result<ObjectCount> read_open_files(const Tree& tree) {
  PANAL_ASSIGN(const std::string text, read_sysctl(tree, "fs.file-nr"));
  return parse_file_nr(text);
}

Result<ObjectCount> read_terminals(const Tree& tree) {
  ObjectCount count;
  PANAL_ASSIGN(count.used, read_one(tree, "kernel.pty.nr"));
  PANAL_ASSIGN(count.limit, read_one(tree, "kernel.pty.max"));
  if (const auto reserve = read_one(tree, "kernel.pty.reserve"))
    count.reserve = std::min(*reserve, count.limit);
  return count;
}

Result<std::optional<KeyUse>> parse_key_users(std::string_view text, uid_t user) {
  // UID: structures keys/instantiated keys/most bytes/most
  constexpr std::size_t kWords = 5, kKeys = 3, kBytes = 4;
  for (const std::string_view line : lines_of(text)) {
    const auto words = words_of(line);
    if (words.size() < kWords || words[0].empty() || words[0].back() != ':')
      return fail(EPROTO, "key-users: a line is no user");
    const auto uid = parse_number(words[0].substr(0, words[0].size() - 1));
    if (!uid) return fail(EPROTO, "key-users: a line is no user");
    if (*uid != user) continue;
    const auto keys = used_of(words[kKeys]);
    const auto bytes = used_of(words[kBytes]);
    if (!keys || !bytes)
      return fail(EPROTO, "key-users: bad numbers of user " + std::to_string(user));
    return std::optional(KeyUse{*keys, *bytes});
  }
  return std::optional<KeyUse>();
}

Result<KeyUse> read_root_keys(const Tree& tree) {
  PANAL_ASSIGN(const std::string text, tree.proc.read("key-users"));
  PANAL_ASSIGN(const auto use, parse_key_users(text, 0));
  if (!use) return fail(ENOENT, "key-users: root has none");
  return *use;
}

}  // namespace panal::kernel
