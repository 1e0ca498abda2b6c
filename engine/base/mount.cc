#include "engine/base/mount.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// <sys/mount.h> of glibc 2.36 and <linux/mount.h> define the same names; the kernel's is used, and
// umount2 declared here.
extern "C" int umount2(const char* target, int flags) noexcept;

namespace panal::mount {
namespace {

constexpr int kDetach = 2;    // MNT_DETACH
constexpr int kNoFollow = 8;  // UMOUNT_NOFOLLOW

/// The file system context collects messages of the kernel ("e overlay: ..."), one a read.
std::string kernel_words(int context) {
  std::string words;
  char line[512];
  for (;;) {
    const ssize_t got = ::read(context, line, sizeof line);
    if (got <= 2) return words;
    words +=
        (words.empty() ? " (" : "; ") + std::string(line + 2, static_cast<std::size_t>(got) - 2);
    while (!words.empty() && words.back() == '\n') words.pop_back();
  }
}

Failure context_failure(int context, const std::string& what) {
  const int code = errno;
  std::string words = kernel_words(context);
  if (!words.empty()) words += ")";
  return fail(code, what + words);
}

}  // namespace

Result<UniqueFd> clone_tree(const std::string& path) {
  UniqueFd fd(static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
  if (!fd) return fail_errno("open_tree", path);
  return fd;
}

Result<void> set_attributes(int mount_fd, std::uint64_t attributes, int user_namespace) {
  mount_attr attr{};
  attr.attr_set = attributes;
  if (user_namespace >= 0) {
    attr.attr_set |= MOUNT_ATTR_IDMAP;
    attr.userns_fd = static_cast<unsigned>(user_namespace);
  }
  if (::syscall(SYS_mount_setattr, mount_fd, "", AT_EMPTY_PATH, &attr, sizeof attr) != 0)
    return fail_errno(user_namespace >= 0 ? "mount_setattr (idmapped mount)" : "mount_setattr");
  return {};
}

Result<UniqueFd> create(const std::string& type,
                        const std::vector<std::pair<std::string, std::string>>& options,
                        std::uint64_t attributes) {
  const UniqueFd context(static_cast<int>(::syscall(SYS_fsopen, type.c_str(), FSOPEN_CLOEXEC)));
  if (!context) return fail_errno("fsopen", type);
  for (const auto& [key, value] : options) {
    const long set = value.empty() ? ::syscall(SYS_fsconfig, context.get(), FSCONFIG_SET_FLAG,
                                               key.c_str(), nullptr, 0)
                                   : ::syscall(SYS_fsconfig, context.get(), FSCONFIG_SET_STRING,
                                               key.c_str(), value.c_str(), 0);
    if (set != 0)
      return context_failure(context.get(), "mount " + type + ": option " + key + "=" + value);
  }
  if (::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return context_failure(context.get(), "mount " + type);
  UniqueFd fd(static_cast<int>(
      ::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes))));
  if (!fd) return context_failure(context.get(), "fsmount " + type);
  return fd;
}

Result<void> attach(int mount_fd, const std::string& target) {
  if (::syscall(SYS_move_mount, mount_fd, "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) !=
      0)
    return fail_errno("move_mount", target);
  return {};
}

Result<void> detach(const std::string& target) {
  if (::umount2(target.c_str(), kDetach | kNoFollow) == 0) return {};
  if (errno == EINVAL || errno == ENOENT) return {};
  return fail_errno("umount", target);
}

Result<bool> is_mount_point(const std::string& path) {
  struct statx info{};
  if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &info) !=
      0)
    return fail_errno("statx", path);
  return (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

Result<void> bind_idmapped(const std::string& source, const std::string& target,
                           std::uint64_t attributes, int user_namespace) {
  PANAL_ASSIGN(const UniqueFd tree, clone_tree(source));
  PANAL_TRY(set_attributes(tree.get(), attributes, user_namespace));
  return attach(tree.get(), target);
}

}  // namespace panal::mount
