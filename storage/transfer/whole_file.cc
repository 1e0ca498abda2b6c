#include "storage/transfer/whole_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "engine/base/cleanup.h"
#include "engine/base/unique_fd.h"

namespace panal::storage {
namespace {

struct Place {
  std::string directory;
  std::string aside;  ///< where the text is written first
};

Place place_of(const std::string& path) {
  const auto slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  std::string directory = ".";
  if (slash == 0) directory = "/";
  if (slash != std::string::npos && slash != 0) directory = path.substr(0, slash);
  return {directory, directory + "/." + name + ".new"};
}

Result<void> write_aside(const std::string& aside, std::string_view text, mode_t mode) {
  if (::unlink(aside.c_str()) != 0 && errno != ENOENT) return fail_errno("delete", aside);
  // A full disk is not to hold half a file more.
  Cleanup undo([&aside] { (void)::unlink(aside.c_str()); });
  const UniqueFd fd(
      ::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("create", aside);
  while (!text.empty()) {
    const ssize_t written = ::write(fd.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno("write", aside);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fchmod(fd.get(), mode) != 0) return fail_errno("chmod", aside);
  if (::fsync(fd.get()) != 0) return fail_errno("fsync", aside);
  undo.release();
  return {};
}

}  // namespace

Result<void> sync_directory_of(const std::string& path) {
  const std::string directory = place_of(path).directory;
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return fail_errno("fsync", directory);
  return {};
}

Result<void> replace_file(const std::string& path, std::string_view text, mode_t mode) {
  const Place place = place_of(path);
  PANAL_TRY(write_aside(place.aside, text, mode));
  if (::rename(place.aside.c_str(), path.c_str()) != 0) {
    auto failed = fail_errno("rename", place.aside + " to " + path);
    (void)::unlink(place.aside.c_str());
    return failed;
  }
  return sync_directory_of(path);
}

Result<void> create_file(const std::string& path, std::string_view text, mode_t mode) {
  const Place place = place_of(path);
  PANAL_TRY(write_aside(place.aside, text, mode));
  // A link, unlike a rename, replaces nothing.
  const int linked = ::link(place.aside.c_str(), path.c_str());
  const int code = errno;
  (void)::unlink(place.aside.c_str());
  if (linked != 0) return fail(code, "create " + path);
  return sync_directory_of(path);
}

Result<void> make_directories_above(const std::string& path) {
  for (std::size_t at = 1; (at = path.find('/', at)) != std::string::npos; ++at)
    if (::mkdir(path.substr(0, at).c_str(), 0755) != 0 && errno != EEXIST)
      return fail_errno("make directory", path.substr(0, at));
  return {};
}

Result<void> make_directories_for(const std::string& path, mode_t mode) {
  PANAL_TRY(make_directories_above(path));
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
    return fail_errno("make directory", path);
  return {};
}

}  // namespace panal::storage
