#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::storage::unpack {

/// Owner, mode (07777) and time of something made.
struct Attributes {
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t mode = 0;
  timespec modified{};
};

/// A tree that is being filled. All paths are relative to it, in the form of entry_path(). The
/// directory of an entry is looked up by openat2(2) with RESOLVE_BENEATH: a symbolic link on the
/// way is followed as long as it stays inside; an absolute one, and one that climbs out, is an
/// error. What already has a name is deleted, never written to: it may have other names.
///
/// It remembers which names the current layer made, because whiteouts are for those below only.
/// Errors of all: EPERM where a link leads out, ENOTDIR, ELOOP, ENOSPC, EDQUOT; the context names
/// the path.
class Target {
 public:
  /// `root`: the directory, open for reading.
  Target(UniqueFd root, bool layered) : root_(std::move(root)), layered_(layered) {}

  [[nodiscard]] int fd() const { return root_.get(); }

  /// Makes a directory, or gives the one that is there these attributes.
  [[nodiscard]] Result<void> make_directory(const std::string& path, const Attributes& attributes);
  /// A new empty file, to write to and then to seal().
  [[nodiscard]] Result<UniqueFd> make_file(const std::string& path);
  /// Gives a file its attributes, set-id bits after the owner: a change of owner drops them.
  [[nodiscard]] static Result<void> seal(const UniqueFd& file, const std::string& path,
                                         const Attributes& attributes);
  [[nodiscard]] Result<void> make_symlink(const std::string& path, const std::string& target,
                                          const Attributes& attributes);
  /// Errors: ENOENT where the target is not there (yet), EPERM for a directory.
  [[nodiscard]] Result<void> make_hard_link(const std::string& path, const std::string& target);

  /// From here on all that is there belongs to layers below.
  void begin_layer() { made_.clear(); }
  /// Deletes what lower layers have under this name. Nothing there is not an error.
  [[nodiscard]] Result<void> whiteout(const std::string& path);
  /// Deletes what lower layers have in this directory.
  [[nodiscard]] Result<void> make_opaque(const std::string& path);

  /// Directories get their times last: each entry made in one changes it.
  [[nodiscard]] Result<void> set_directory_times();

 private:
  struct Place {
    UniqueFd directory;  ///< O_PATH
    ino_t inode = 0;     ///< of the directory; 0 where nothing is remembered
    std::string name;
  };
  [[nodiscard]] Result<Place> place_of(const std::string& path, bool make_parents);
  [[nodiscard]] Result<UniqueFd> open_directory(const std::string& path, bool make,
                                                const std::string& entry);
  [[nodiscard]] Result<void> clear_name(const Place& place, const std::string& path);
  /// Whether anything is left.
  [[nodiscard]] Result<bool> clear_lower(int directory, const std::string& path, int depth);
  [[nodiscard]] Result<void> clear_lower_name(int directory, ino_t inode, const std::string& name,
                                              const std::string& path, int depth);
  void remember(const Place& place);

  UniqueFd root_;
  bool layered_;
  /// Names made in this layer: the directory's inode and the name, which no link can disguise.
  std::set<std::pair<ino_t, std::string>> made_;
  std::map<std::string, timespec> directory_times_;
};

}  // namespace panal::storage::unpack
