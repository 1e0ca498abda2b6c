#include "storage/backup/target.h"

#include <fcntl.h>

#include <algorithm>

#include "engine/base/log.h"

namespace panal::storage::backup {

Result<int> Target::parent_of(const std::string& name, std::string& last) {
  const std::size_t slash = name.rfind('/');
  last = slash == std::string::npos ? name : name.substr(slash + 1);
  const std::string path = slash == std::string::npos ? std::string() : name.substr(0, slash);
  if (path == held_path_ && held_) return held_.get();
  UniqueFd at(::openat(root_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!at) return fail_errno("open the home");
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    UniqueFd next(::openat(at.get(), path.substr(begin, end - begin).c_str(),
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
      return fail(EPROTO, "the backup holds \"" + printable(name, 200) +
                              "\" without the directory it lies in");
    if (!next) return fail_errno("open", path);
    at = std::move(next);
    begin = end + 1;
  }
  held_ = std::move(at);
  held_path_ = path;
  return held_.get();
}

}  // namespace panal::storage::backup
