#include "storage/unpack/finish.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "engine/base/file_tree.h"
#include "engine/base/tree.h"
#include "storage/unpack/entry_rules.h"

namespace panal::storage::unpack {
namespace {

constexpr const char* kInner = "rootfs";

bool is_directory(const std::string& path) {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool exists(const std::string& path) {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0;
}

/// Programs somewhere: /usr of today's systems, /bin or /sbin of old ones.
bool looks_like_root(const std::string& tree) {
  return is_directory(tree + "/usr") || is_directory(tree + "/bin") || is_directory(tree + "/sbin");
}

Result<void> write_text(Target& target, const std::string& path, const std::string& text,
                        mode_t mode) {
  PANAL_ASSIGN(const UniqueFd file, target.make_file(path));
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return failed_at("write", path);
  Attributes attributes;
  attributes.mode = mode;
  return Target::seal(file, path, attributes);
}

/// A directory that something will be mounted on; one that is there keeps its owner and mode.
Result<void> need_directory(Target& target, const std::string& path, mode_t mode) {
  struct stat info{};
  if (::fstatat(target.fd(), path.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
    if (S_ISDIR(info.st_mode)) return {};
    return fail(ENOTDIR, shown(path) + " must be a directory: desktops mount theirs there");
  }
  if (errno != ENOENT) return failed_at("stat", path);
  Attributes attributes;
  attributes.mode = mode;
  return target.make_directory(path, attributes);
}

}  // namespace

Result<std::string> find_root(const std::string& tree) {
  if (looks_like_root(tree)) return std::string();
  if (is_directory(tree + "/" + kInner) && looks_like_root(tree + "/" + kInner))
    return std::string(kInner);
  if (exists(tree + "/manifest.json") && !exists(tree + "/oci-layout"))
    return fail(EPROTO,
                "it is an old docker save, not an OCI layout: skopeo copy docker-archive:FILE "
                "oci-archive:NEW makes one of it");
  PANAL_ASSIGN(const Dir top, Dir::open(tree));
  PANAL_ASSIGN(auto names, top.list());
  std::sort(names.begin(), names.end());
  std::string found;
  for (std::size_t i = 0; i < names.size() && i < 8; ++i) found += " " + shown(names[i]);
  return fail(EPROTO,
              "there is no root file system in it: neither usr/, bin/ nor sbin/ at the top or in "
              "rootfs/; at the top are:" +
                  (found.empty() ? " no files" : found));
}

Result<void> check_links(const std::string& root) {
  return walk_tree(root, [](const TreeEntry& entry) -> Result<void> {
    if (!S_ISLNK(entry.info.st_mode)) return {};
    std::array<char, PATH_MAX> target{};
    const ssize_t length =
        ::readlinkat(entry.directory, entry.name.c_str(), target.data(), target.size());
    if (length < 0) return failed_at("read the link", entry.path);
    const std::string_view text(target.data(), static_cast<std::size_t>(length));
    if (leads_out(entry.path, text))
      return fail(EPERM, shown(entry.path) + " is a link that leads out: its target " +
                             shown(text) + " climbs above the root");
    return {};
  });
}

Result<void> make_desktop_root(Target& target) {
  if (::fchown(target.fd(), 0, 0) != 0 || ::fchmod(target.fd(), 0755) != 0)
    return fail_errno("set owner and mode of", "the root");
  for (const char* path : {"dev", "etc", "home", "proc", "run", "sys", "var"})
    PANAL_TRY(need_directory(target, path, 0755));
  PANAL_TRY(need_directory(target, "tmp", 01777));
  PANAL_TRY(need_directory(target, ".panal", 0755));
  PANAL_TRY(write_text(target, ".panal/panal-agent", "", 0755));
  // Empty, not absent: D-Bus and others then treat the machine as not yet named.
  PANAL_TRY(write_text(target, "etc/machine-id", "", 0444));
  PANAL_TRY(write_text(target, "etc/resolv.conf", "", 0644));
  PANAL_TRY(write_text(target, "etc/hostname", "desktop\n", 0644));
  PANAL_TRY(write_text(target, "etc/hosts", "127.0.0.1 localhost\n::1 localhost\n", 0644));
  // A copy that D-Bus keeps; a link to /etc/machine-id is what it should be.
  return target.whiteout("var/lib/dbus/machine-id");
}

}  // namespace panal::storage::unpack
