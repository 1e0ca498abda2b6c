#include "runtime/desktop/shared_dirs.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/cleanup.h"
#include "engine/base/unique_fd.h"

namespace panal::desktop {
namespace {

// Since Linux 5.10; Debian 12's <sys/mount.h> has it only under another name.
constexpr unsigned long kNoSymFollow = 256;

/// Sockets take an inode and no block; the rest is room for a few small files (cookie, pid).
constexpr const char* kOptions = "size=64k,nr_inodes=32,mode=755";

}  // namespace

Result<void> TmpfsSharedDirs::make(const std::string& path, std::uint32_t owner,
                                   std::uint32_t group) {
  PANAL_TRY(remove(path));
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno("mkdir", path);
  if (::mount("panal", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | kNoSymFollow,
              kOptions) != 0)
    return fail_errno("mount the shared tmpfs at", path);
  Cleanup undo([this, &path] { (void)remove(path); });
  const UniqueFd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return fail_errno("open", path);
  if (::mkdirat(dir.get(), "nx", 0700) != 0) return fail_errno("mkdir", path + "/nx");
  if (::fchownat(dir.get(), "nx", owner, group, AT_SYMLINK_NOFOLLOW) != 0)
    return fail_errno("chown", path + "/nx");
  undo.release();
  return {};
}

Result<void> TmpfsSharedDirs::remove(const std::string& path) {
  // Lazily: a descriptor of ours on a socket in it must not keep a desktop from being stopped. In a
  // loop: an earlier crash may have left one over another.
  while (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  if (errno != EINVAL && errno != ENOENT) return fail_errno("unmount", path);
  return {};
}

}  // namespace panal::desktop
