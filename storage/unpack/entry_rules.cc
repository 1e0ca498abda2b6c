#include "storage/unpack/entry_rules.h"

#include <sys/stat.h>

#include <algorithm>

#include "engine/base/log.h"

namespace panal::storage::unpack {
namespace {

constexpr std::string_view kWhiteoutPrefix = ".wh.";
constexpr std::string_view kOpaqueName = ".wh..wh..opq";
constexpr std::string_view kMetaPrefix = ".wh..wh.";
constexpr const char* kCapability = "security.capability";

Failure refused(std::string_view name, const std::string& why) {
  return fail(EPERM, shown(name) + " " + why);
}

const char* special_kind(EntryType type) {
  switch (type) {
    case EntryType::kCharDevice: return "a character device";
    case EntryType::kBlockDevice: return "a block device";
    case EntryType::kFifo: return "a FIFO";
    case EntryType::kSocket: return "a socket";
    default: return nullptr;
  }
}

/// The last component of a path, and what is before it.
std::pair<std::string, std::string> split_last(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

std::string joined(const std::string& directory, std::string_view name) {
  return directory.empty() ? std::string(name) : directory + "/" + std::string(name);
}

/// A `.wh.` name of a layer; kTake for any other name.
Result<Verdict> judge_whiteout(const TarEntry& entry, const std::string& path) {
  Verdict verdict;
  verdict.path = path;
  const auto [directory, name] = split_last(path);
  if (name.substr(0, kWhiteoutPrefix.size()) != kWhiteoutPrefix) return verdict;
  if (name == kOpaqueName) {
    verdict.action = Action::kOpaque;
    verdict.path = directory;
    return verdict;
  }
  if (name.substr(0, kMetaPrefix.size()) == kMetaPrefix)
    return refused(entry.name, "is bookkeeping of aufs, not an OCI whiteout");
  const std::string hidden = name.substr(kWhiteoutPrefix.size());
  if (hidden.empty() || hidden == "." || hidden == "..")
    return refused(entry.name, "is a whiteout that names nothing");
  verdict.action = Action::kWhiteout;
  verdict.path = joined(directory, hidden);
  return verdict;
}

Result<void> check_owner_and_mode(const TarEntry& entry) {
  if (entry.uid < 0 || entry.uid >= kIds || entry.gid < 0 || entry.gid >= kIds)
    return refused(entry.name, "belongs to user " + std::to_string(entry.uid) + ", group " +
                                   std::to_string(entry.gid) +
                                   ": a desktop has ids up to 65535, pack it with those it has "
                                   "inside the desktop");
  // What others may write to and runs as its owner is a hole, whoever made it.
  if (entry.type == EntryType::kFile && (entry.mode & (S_ISUID | S_ISGID)) != 0 &&
      (entry.mode & (S_IWGRP | S_IWOTH)) != 0)
    return refused(entry.name, "is set-id and others may write to it");
  return {};
}

}  // namespace

std::string shown(std::string_view name) { return "\"" + printable(name, 200) + "\""; }

Failure failed_at(std::string_view operation, std::string_view name) {
  const int code = errno;
  return fail(code, std::string(operation) + " " + shown(name));
}

Result<std::string> entry_path(std::string_view name) {
  if (!name.empty() && name.front() == '/') return refused(name, "is an absolute path");
  if (name.find('\0') != std::string_view::npos)
    return refused(name, "has a zero byte in its name");
  std::string path;
  std::size_t levels = 0;
  while (!name.empty()) {
    const auto end = std::min(name.find('/'), name.size());
    const auto part = name.substr(0, end);
    if (part == "..") return refused(path + "/" + std::string(name), "has \"..\" in its path");
    if (part.size() > kLongestName)
      return refused(part, "is a name of more than " + std::to_string(kLongestName) + " bytes");
    if (!part.empty() && part != ".") {
      path = joined(path, part);
      ++levels;
    }
    if (path.size() > kLongestPath)
      return refused(path, "is a path of more than " + std::to_string(kLongestPath) + " bytes");
    if (levels > kDeepest)
      return refused(path, "is more than " + std::to_string(kDeepest) + " levels deep");
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  return path;
}

bool leads_out(std::string_view path, std::string_view target) {
  if (!target.empty() && target.front() == '/') return false;
  auto depth = std::count(path.begin(), path.end(), '/');
  while (!target.empty()) {
    const auto end = std::min(target.find('/'), target.size());
    const auto part = target.substr(0, end);
    if (part == "..") {
      if (--depth < 0) return true;
    } else if (!part.empty() && part != ".") {
      ++depth;
    }
    target.remove_prefix(std::min(end + 1, target.size()));
  }
  return false;
}

Result<Verdict> judge(const TarEntry& entry, const EntryRules& rules) {
  PANAL_ASSIGN(const std::string path, entry_path(entry.name));
  Verdict verdict;
  verdict.path = path;
  if (path.empty()) {
    if (entry.type != EntryType::kDirectory)
      return refused(entry.name, "stands for the root and is no directory");
    verdict.action = Action::kSkip;
    return verdict;
  }
  if (rules.layer) {
    PANAL_ASSIGN(Verdict whiteout, judge_whiteout(entry, path));
    if (whiteout.action != Action::kTake) return whiteout;
  }
  if (!is_utf8(path))
    return refused(entry.name, "has a name that is not UTF-8, which no version can hold");
  if (const char* kind = special_kind(entry.type); kind != nullptr) {
    if (!rules.leave_out_special)
      return refused(entry.name, std::string("is ") + kind +
                                     ", which no image has: desktops make their own "
                                     "(--leave-out-special leaves it out)");
    verdict.action = Action::kSkip;
    verdict.left_out = true;
    return verdict;
  }
  if (entry.type == EntryType::kOther)
    return refused(entry.name, "is of a type that Panal does not know");
  if (entry.type == EntryType::kHardLink) {
    auto target = entry_path(entry.target);
    if (!target)
      return refused(entry.name, "is a hard link that leads out: " + target.error().context);
    if (target->empty()) return refused(entry.name, "is a hard link to the root");
    verdict.link_path = std::move(*target);
    return verdict;  // owner, mode and attributes are those of the file that is there
  }
  if (entry.type == EntryType::kSymlink) {
    if (entry.target.empty()) return refused(entry.name, "is a link to nothing");
    if (entry.target.size() > kLongestPath || entry.target.find('\0') != std::string::npos)
      return refused(entry.name, "is a link whose target is no path");
    if (!is_utf8(entry.target))
      return refused(entry.name,
                     "is a link to a name that is not UTF-8, which no version can hold");
  }
  PANAL_TRY(check_owner_and_mode(entry));
  if (std::find(entry.attributes.begin(), entry.attributes.end(), kCapability) !=
      entry.attributes.end()) {
    if (!rules.leave_out_special)
      return refused(entry.name,
                     "has file capabilities, which images do not carry "
                     "(--leave-out-special leaves them out)");
    verdict.left_out = true;
  }
  return verdict;
}

}  // namespace panal::storage::unpack
