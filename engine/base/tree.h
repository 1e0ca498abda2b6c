#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal {

/// A directory held by descriptor; all access is relative to it (openat), so a test passes a
/// directory of fixtures where the daemon passes the kernel's, and a re-created directory of the
/// same name is never confused with the one that was opened.
class Dir {
 public:
  Dir() = default;
  explicit Dir(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  /// Errors: ENOENT, ENOTDIR, EACCES.
  [[nodiscard]] static Result<Dir> open(const std::string& path);
  /// A directory below this one. `relative` must not begin with a slash.
  [[nodiscard]] Result<Dir> open_dir(const std::string& relative) const;

  /// The whole text of a file. `limit_bytes` guards against files without end.
  /// Errors: those of open(2) and read(2); EFBIG past the limit.
  [[nodiscard]] Result<std::string> read(const std::string& relative,
                                         std::size_t limit_bytes = std::size_t{1} << 20) const;
  /// One write(2) of the whole text, as kernel files want it.
  [[nodiscard]] Result<void> write(const std::string& relative, std::string_view text) const;
  /// A file below, close-on-exec. `flags` as for open(2).
  [[nodiscard]] Result<UniqueFd> open_file(const std::string& relative, int flags) const;
  [[nodiscard]] bool exists(const std::string& relative) const;
  /// Names below `relative` (empty: this one), without . and .., in no order.
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& relative = {}) const;

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] bool valid() const noexcept { return fd_.valid(); }
  /// The path it was opened by, for messages.
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  [[nodiscard]] std::string describe(const std::string& relative) const;

  UniqueFd fd_;
  std::string path_;
};

/// The kernel's trees, opened once in main and passed down.
struct Tree {
  Dir proc;
  Dir sys;
  Dir cgroup;  ///< the directory the cgroup hierarchies are mounted in (or the v2 mount itself)

  /// The kernel's own. Errors: ENOENT where one is not mounted.
  [[nodiscard]] static Result<Tree> open_system();
  /// proc, sys and cgroup below `root`: for fixtures.
  [[nodiscard]] static Result<Tree> open_below(const std::string& root);
};

}  // namespace panal
