#include "runtime/desktop/lxc/mount_targets.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "engine/base/unique_fd.h"
#include "runtime/agent/protocol.h"

namespace panal::desktop::lxc {
namespace {

Result<void> check_target(const std::string& root, std::string_view path, bool is_file) {
  UniqueFd at(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!at) return fail_errno("open", root);
  std::string inside;
  while (!path.empty()) {
    path.remove_prefix(path.front() == '/' ? 1 : 0);
    const std::string name(path.substr(0, path.find('/')));
    path.remove_prefix(name.size());
    inside += "/" + name;
    UniqueFd next(::openat(at.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!next && errno == ENOENT) return {};
    struct stat info{};
    if (!next || ::fstat(next.get(), &info) != 0) return fail_errno("open", root + inside);
    const std::string what = inside + " of the desktop's own root is ";
    if (S_ISLNK(info.st_mode)) return fail(ELOOP, what + "a link; nothing is mounted there");
    const bool file = is_file && path.empty();
    if (file && !S_ISREG(info.st_mode)) return fail(EISDIR, what + "no file");
    if (!file && !S_ISDIR(info.st_mode)) return fail(ENOTDIR, what + "no directory");
    at = std::move(next);
  }
  return {};
}

}  // namespace

Result<void> check_mount_targets(const std::string& root, std::string_view home_path,
                                 const std::vector<std::string_view>& more) {
  for (const std::string_view path : more) PANAL_TRY(check_target(root, path, false));
  // What is below /dev, /run, /proc and /sys comes after those were mounted.
  for (const std::string_view path :
       {std::string_view("dev"), std::string_view("proc"), std::string_view("sys"),
        std::string_view("tmp"), std::string_view("run"), home_path})
    PANAL_TRY(check_target(root, path, false));
  return check_target(root, agent::kAgentProgram, true);
}

}  // namespace panal::desktop::lxc
