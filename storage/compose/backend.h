#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/ids.h"

namespace panal::storage {

/// What a desktop may write into its root; 0: as much as there is room for.
struct RootLimits {
  std::uint64_t bytes = 0;
  std::uint64_t inodes = 0;
};

/// What a desktop's root is to be made of. Ids on disk are canonical (0 is the desktop's root);
/// the mounts map them to `ids`.
struct RootSpec {
  std::string version_root;  ///< the image version's tree; never written
  std::string upper_dir;     ///< the desktop's writable layer lives below it; made if absent
  std::string mount_point;   ///< where the composed root appears; an existing directory
  IdRange ids;
  bool persistent = false;  ///< keep the upper at destroy()
  /// The desktop's kernel name, "d7": what is kept elsewhere than in upper_dir is called by it.
  std::string desktop = {};
  /// More trees that are never written, over version_root, the lowest first: an application's, a
  /// site's. They add and replace files; only backends with traits().layers take them.
  std::vector<std::string> layers = {};
  RootLimits limits = {};    ///< only backends with traits().limits take them
  std::string backend = {};  ///< for who has several (Composer): a backend's name; empty: overlay
};

/// Bytes and inodes a desktop's writable layer takes on disk (in memory, where it is there).
struct RootUsage {
  std::uint64_t bytes = 0;
  std::uint64_t inodes = 0;
};

/// What roots of a backend are like.
struct BackendTraits {
  bool shares_pages = false;     ///< desktops of a version share its files' page cache
  bool writable_all = false;     ///< every directory of the root can be written to
  bool persistent = false;       ///< RootSpec::persistent is possible
  bool follows_version = false;  ///< a persistent root over another version shows that version
  bool layers = false;
  bool limits = false;
  bool apart = false;  ///< what a desktop writes is not in RootSpec::upper_dir
};

/// All desktops of a node, for recover(). Desktop d7 has its upper_dir at <state>/d7/upper and its
/// mount point at <run>/d7/root.
struct RecoverScope {
  std::string state;
  std::string run;
  std::set<std::string> live;  ///< kernel names of those that run: nothing of theirs is touched
};

/// What recover() did.
struct Recovered {
  std::uint32_t unmounted = 0;  ///< mounts that were left
  std::uint32_t removed = 0;    ///< volatile layers, half-made and half-deleted things
  /// What could not be mended, a sentence each; all else was tried all the same.
  std::vector<std::string> problems = {};
};

/// One way to compose a root. Calls for different desktops may run at the same time; the caller is
/// in Panal's mount namespace.
///
/// A backend that was killed anywhere leaves nothing that its own next provision(), destroy() or
/// recover() does not find: what is half made or half deleted has a name that says so.
class ComposeBackend {
 public:
  virtual ~ComposeBackend() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual BackendTraits traits() const = 0;
  /// Of the backend that is to make this root, for who has several.
  [[nodiscard]] virtual BackendTraits traits_for(const RootSpec& /*spec*/) const {
    return traits();
  }

  /// Mounts the root. A volatile upper left by a crash is discarded first. On error nothing is
  /// mounted. Errors: ENOENT without the version, ENOSPC, EPERM, EROFS (the kernel gave a
  /// read-only mount although a writable one was asked for), EBUSY (something is mounted there),
  /// EOPNOTSUPP (what the spec wants is not among traits()).
  [[nodiscard]] virtual Result<void> provision(const RootSpec& spec) = 0;
  /// Unmounts the root and discards a volatile upper. Nothing mounted is not an error.
  [[nodiscard]] virtual Result<void> destroy(const RootSpec& spec) = 0;
  [[nodiscard]] virtual Result<RootUsage> usage(const RootSpec& spec) = 0;
  /// After a crash or a reboot: finds what desktops that do not run have left of this backend,
  /// unmounts it, removes what is volatile, half made or half deleted, and leaves persistent layers
  /// fit for the next provision(). Errors: only when the scope itself cannot be read.
  [[nodiscard]] virtual Result<Recovered> recover(const RecoverScope& scope) = 0;
  /// Deletes all of a desktop's writable layer, persistent too; it does not run.
  [[nodiscard]] virtual Result<void> erase(const RootSpec& spec) = 0;
};

}  // namespace panal::storage
