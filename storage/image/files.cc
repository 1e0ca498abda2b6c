#include "storage/image/files.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/base/unique_fd.h"

namespace panal::storage::files {
namespace {

Result<void> rename_with(const std::string& from, const std::string& to, unsigned flags) {
  // glibc has renameat2, but <stdio.h> and <linux/fs.h> both define the flags.
  if (::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags) != 0)
    return fail_errno("rename", from + " to " + to);
  return {};
}

}  // namespace

Result<void> make_directory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  if (errno != ENOENT) return fail_errno("make directory", path);
  const auto slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return fail_errno("make directory", path);
  PANAL_TRY(make_directory(path.substr(0, slash), 0755));
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return fail_errno("make directory", path);
}

Result<void> rename_new(const std::string& from, const std::string& to) {
  return rename_with(from, to, RENAME_NOREPLACE);
}

Result<void> replace(const std::string& from, const std::string& to) {
  return rename_with(from, to, 0);
}

Result<void> exchange(const std::string& a, const std::string& b) {
  return rename_with(a, b, RENAME_EXCHANGE);
}

Result<void> sync_directory(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return fail_errno("fsync", path);
  return {};
}

Result<void> sync_file_system(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::syncfs(fd.get()) != 0) return fail_errno("syncfs", path);
  return {};
}

Result<void> write_file(const std::string& path, const std::string& text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd) return fail_errno("create", path);
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t wrote = ::write(fd.get(), text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return fail_errno("write", path);
    done += static_cast<std::size_t>(wrote);
  }
  return {};
}

bool exists(const std::string& path) {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0;
}

}  // namespace panal::storage::files
