#pragma once

#include <string>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::storage::backup {

/// The directory that restored files appear in. Every step goes through descriptors of directories
/// that were made here; links are never followed.
class Target {
 public:
  /// `root` < 0: nothing appears anywhere. Not owned.
  explicit Target(int root) : root_(root) {}
  [[nodiscard]] bool only_checks() const { return root_ < 0; }
  [[nodiscard]] int root() const { return root_; }

  /// The open directory that `name` lies in, until the next call, and the last part of the name.
  /// Errors: EPROTO where a directory on the way was not given before.
  [[nodiscard]] Result<int> parent_of(const std::string& name, std::string& last);

 private:
  int root_;
  UniqueFd held_;
  std::string held_path_;
};

}  // namespace panal::storage::backup
