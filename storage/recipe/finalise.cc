#include "storage/recipe/finalise.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <set>
#include <string_view>

#include "engine/base/file_tree.h"
#include "engine/base/kernel_paths.h"
#include "engine/base/unique_fd.h"
#include "storage/recipe/mmdebstrap.h"

namespace panal::storage {
namespace {

constexpr std::uint32_t kIds = 65536;

Result<void> drop_attributes(const TreeEntry& entry) {
  // The l*xattr calls take paths only: through the directory's descriptor nothing is followed.
  const std::string path = std::string(kernel_paths::kProcSelfFd) + "/" +
                           std::to_string(entry.directory) + "/" + entry.name;
  char names[4096];
  const ssize_t length = ::llistxattr(path.c_str(), names, sizeof names);
  if (length < 0) {
    if (errno == EOPNOTSUPP || errno == ENOENT) return {};
    return fail_errno("list attributes of", entry.path);
  }
  std::string_view rest(names, static_cast<std::size_t>(length));
  while (!rest.empty()) {
    const std::string name(rest.substr(0, rest.find('\0')));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    if (name == "security.capability" || name == "security.selinux") continue;
    if (::lremovexattr(path.c_str(), name.c_str()) != 0)
      return fail_errno("remove attribute " + name + " of", entry.path);
  }
  return {};
}

/// A file below `root`, links resolved as if `root` were the root.
Result<std::string> read_in_root(const std::string& root, const std::string& path) {
  const UniqueFd top(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!top) return fail_errno("open", root);
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const UniqueFd fd(
      static_cast<int>(::syscall(SYS_openat2, top.get(), path.c_str(), &how, sizeof how)));
  if (!fd) return fail_errno("open", root + path);
  std::string text;
  char buffer[65536];
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0) return fail_errno("read", root + path);
    if (got == 0) return text;
    if (text.size() > std::size_t{64} << 20) return fail(EFBIG, "read " + root + path);
    text.append(buffer, static_cast<std::size_t>(got));
  }
}

}  // namespace

Result<TreeFacts> finalise_tree(const std::string& root, PackageList packages) {
  TreeFacts facts;
  std::set<ino_t> linked;
  PANAL_TRY(walk_tree(root, [&facts, &linked](const TreeEntry& entry) -> Result<void> {
    if (S_ISCHR(entry.info.st_mode) || S_ISBLK(entry.info.st_mode))
      return fail(EPERM, "the image holds a device node: /" + entry.path);
    if (entry.info.st_uid >= kIds || entry.info.st_gid >= kIds)
      return fail(ERANGE, "the image holds a file of user " + std::to_string(entry.info.st_uid) +
                              ", group " + std::to_string(entry.info.st_gid) + ": /" + entry.path);
    if (S_ISSOCK(entry.info.st_mode) || S_ISFIFO(entry.info.st_mode)) {
      if (::unlinkat(entry.directory, entry.name.c_str(), 0) != 0)
        return fail_errno("delete", entry.path);
      return {};
    }
    ++facts.files;
    // A file with several names counts once.
    const bool seen = entry.info.st_nlink > 1 && !S_ISDIR(entry.info.st_mode) &&
                      !linked.insert(entry.info.st_ino).second;
    if (S_ISREG(entry.info.st_mode) && !seen)
      facts.size_bytes += static_cast<std::uint64_t>(entry.info.st_size);
    return drop_attributes(entry);
  }));
  auto status = read_in_root(root, "/var/lib/dpkg/status");
  if (!status && packages == PackageList::kOptional && status.error().code == ENOENT) return facts;
  if (!status) return tl::make_unexpected(std::move(status.error()));
  facts.packages = mmdebstrap::parse_dpkg_status(*status);
  return facts;
}

}  // namespace panal::storage
