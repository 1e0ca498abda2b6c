#include "engine/base/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <memory>

#include "engine/base/kernel_paths.h"

namespace panal {

std::string Dir::describe(const std::string& relative) const {
  return relative.empty() ? path_ : path_ + "/" + relative;
}

Result<Dir> Dir::open(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno("open directory", path);
  return Dir(std::move(fd), path);
}

Result<Dir> Dir::open_dir(const std::string& relative) const {
  UniqueFd fd(::openat(fd_.get(), relative.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno("open directory", describe(relative));
  return Dir(std::move(fd), describe(relative));
}

Result<UniqueFd> Dir::open_file(const std::string& relative, int flags) const {
  UniqueFd fd(::openat(fd_.get(), relative.c_str(), flags | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("open", describe(relative));
  return fd;
}

Result<std::string> Dir::read(const std::string& relative, std::size_t limit_bytes) const {
  PANAL_ASSIGN(const UniqueFd fd, open_file(relative, O_RDONLY));
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got == 0) return text;
    if (got < 0) {
      if (errno == EINTR) continue;
      return fail_errno("read", describe(relative));
    }
    if (text.size() + static_cast<std::size_t>(got) > limit_bytes)
      return fail(EFBIG, "read " + describe(relative));
    text.append(buffer, static_cast<std::size_t>(got));
  }
}

Result<void> Dir::write(const std::string& relative, std::string_view text) const {
  PANAL_ASSIGN(const UniqueFd fd, open_file(relative, O_WRONLY));
  const ssize_t put = ::write(fd.get(), text.data(), text.size());
  if (put < 0) return fail_errno("write", describe(relative));
  if (static_cast<std::size_t>(put) != text.size())
    return fail(EIO, "short write to " + describe(relative));
  return {};
}

bool Dir::exists(const std::string& relative) const {
  return ::faccessat(fd_.get(), relative.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

Result<std::vector<std::string>> Dir::list(const std::string& relative) const {
  UniqueFd fd(::openat(fd_.get(), relative.empty() ? "." : relative.c_str(),
                       O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno("list", describe(relative));
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd.get()), ::closedir);
  if (!stream) return fail_errno("list", describe(relative));
  (void)fd.release();  // closedir closes it
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) {
      if (errno != 0) return fail_errno("list", describe(relative));
      return names;
    }
    const std::string_view name = static_cast<const char*>(entry->d_name);
    if (name != "." && name != "..") names.emplace_back(name);
  }
}

Result<Tree> Tree::open_system() {
  Tree tree;
  PANAL_ASSIGN(tree.proc, Dir::open(kernel_paths::kProc));
  PANAL_ASSIGN(tree.sys, Dir::open(kernel_paths::kSys));
  PANAL_ASSIGN(tree.cgroup, Dir::open(kernel_paths::kSysFsCgroup));
  return tree;
}

Result<Tree> Tree::open_below(const std::string& root) {
  Tree tree;
  PANAL_ASSIGN(tree.proc, Dir::open(root + kernel_paths::kProc));
  PANAL_ASSIGN(tree.sys, Dir::open(root + kernel_paths::kSys));
  PANAL_ASSIGN(tree.cgroup, Dir::open(root + "/cgroup"));
  return tree;
}

}  // namespace panal
