#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "engine/model/ids.h"
#include "storage/home/home_lock.h"
#include "storage/quota/quota.h"

namespace panal::storage {

/// A persistent home and who opens it.
struct HomeSpec {
  std::string tenant;
  std::string home;       ///< name of the home, usually the login
  std::string desktop;    ///< kernel name of the desktop that opens it, e.g. "d7"
  std::uint32_t uid = 0;  ///< canonical owner ids (as inside the desktop)
  std::uint32_t gid = 0;
  IdRange ids;              ///< the desktop's host ids
  std::string mount_point;  ///< where it appears, inside Panal's mount namespace
  /// The database has given the home to this desktop: locks that a crash of this node has left, and
  /// that of `evicted` (an owner's text), do not count.
  bool leased = false;
  std::string evicted = {};
};

/// What holds for all homes of a node.
struct HomeRules {
  std::string node = {};               ///< named in locks; empty: a machine alone
  QuotaKind quota = QuotaKind::kNone;  ///< of homes made from now on
  SpaceLimit limit = {};
};

/// A home as it is on disk.
struct HomeInfo {
  std::string tenant, home;
  QuotaKind quota = QuotaKind::kNone;
  std::optional<HomeOwner> owner;      ///< who has its lock
  std::optional<SpaceUse> use;         ///< none: it cannot be seen now
  std::string why_unseen;              ///< then
  std::vector<std::string> snapshots;  ///< names, oldest name first
};

/// Homes: directories <homes>/<tenant>/<home> that outlive roots, uppers and desktops.
/// One writer at a time: a lock file beside the home names the desktop and the node that has it.
/// Which home is held to a limit by what is on the disk with it (Quota), so homes of several kinds
/// live side by side. Thread-safe for different homes.
class HomeStore {
 public:
  explicit HomeStore(std::string homes_dir, HomeRules rules = {})
      : homes_dir_(std::move(homes_dir)), rules_(std::move(rules)) {}
  HomeStore(const HomeStore&) = delete;
  HomeStore& operator=(const HomeStore&) = delete;
  virtual ~HomeStore() = default;

  /// Makes the home if there is none (mode 0700, empty), takes its lock, mounts it idmapped, nosuid
  /// and nodev at mount_point.
  /// Errors: EBUSY "home alice is open in d3", EINVAL for names with / or leading dot.
  [[nodiscard]] virtual Result<void> attach(const HomeSpec& spec);
  /// Unmounts and unlocks. Not attached is not an error. The home's content stays.
  /// Errors: EBUSY: one in a file is still mounted 2 s after (a process that does not end holds it,
  /// or a mount namespace that had a copy): it is out of sight and stays locked. Call it again.
  [[nodiscard]] virtual Result<void> detach(const HomeSpec& spec);
  /// The second half of detach(), for who could not wait for it: unlocks. Of the spec only tenant,
  /// home and desktop count. Another's lock, or none, is left alone. Errors: EBUSY as there, at
  /// once.
  [[nodiscard]] Result<void> release(const HomeSpec& spec);
  /// The homes there are of a tenant, by name. Errors: EACCES for who is not root.
  [[nodiscard]] Result<std::vector<std::string>> homes_of(const std::string& tenant) const;
  /// Those that have homes, by name.
  [[nodiscard]] Result<std::vector<std::string>> tenants() const;
  /// After a crash: removes locks of this node's desktops that are not in `live` (kernel names),
  /// unless their home is in a file that is still mounted, and halves of homes and snapshots that
  /// this node was making or deleting. Homes in files that lack their directories are given them.
  /// Errors: the first tenant's that has one, after all have been looked at.
  [[nodiscard]] virtual Result<void> recover(const std::set<std::string>& live);
  /// Deletes a home and its snapshots for good. Errors: EBUSY while it is open, ENOENT.
  [[nodiscard]] virtual Result<void> remove(const std::string& tenant, const std::string& home);

  // For the operator. `owner` has the home meanwhile: its lock is taken and dropped.

  /// `measure`: walk through a home whose use nothing counts (kNone), which can take minutes.
  /// Errors: ENOENT.
  [[nodiscard]] Result<HomeInfo> info(const std::string& tenant, const std::string& home,
                                      bool measure) const;
  /// Another limit. Errors: EBUSY, EOPNOTSUPP for a home without a quota, EINVAL.
  [[nodiscard]] Result<void> set_limit(const std::string& tenant, const std::string& home,
                                       const SpaceLimit& limit, const HomeOwner& owner);
  /// Keeps the home as it is now under `name`. A btrfs home may be open; one in a file may not, and
  /// its file system must have clones (xfs, btrfs). Errors: EOPNOTSUPP with what to use, EEXIST,
  /// EBUSY.
  [[nodiscard]] Result<void> snapshot(const std::string& tenant, const std::string& home,
                                      const std::string& name, const HomeOwner& owner);
  [[nodiscard]] Result<void> remove_snapshot(const std::string& tenant, const std::string& home,
                                             const std::string& name);
  /// Takes a home's lock from whoever has it: for an operator who knows that its node is dead.
  /// Returns who had it. Errors: ENOENT nobody.
  [[nodiscard]] Result<HomeOwner> unlock(const std::string& tenant, const std::string& home);
  /// Calls `look` with the root directory of the home (or of a snapshot of it, `snapshot` not
  /// empty), as a descriptor that may be read and walked. Errors: EBUSY, ENOENT, those of `look`.
  [[nodiscard]] Result<void> with_tree(const std::string& tenant, const std::string& home,
                                       const std::string& snapshot, const HomeOwner& owner,
                                       const std::function<Result<void>(int tree)>& look);
  /// A home made by `fill` (given an empty directory, root's) appears under the name, or takes the
  /// place of the one that is there where `over`; after an error of `fill` nothing has changed.
  /// Errors: EEXIST unless `over`, EBUSY, those of `fill`.
  [[nodiscard]] Result<void> put(const std::string& tenant, const std::string& home, bool over,
                                 const HomeOwner& owner,
                                 const std::function<Result<void>(int tree)>& fill);

 private:
  struct Place;  ///< of one home
  [[nodiscard]] Result<Place> place(const std::string& tenant, const std::string& home) const;
  [[nodiscard]] Result<void> make_home(const Place& at, std::uint32_t uid, std::uint32_t gid) const;
  /// A home is made under another name and takes its place when it is whole.
  [[nodiscard]] Result<void> build(const Place& at, QuotaKind kind, const SpaceLimit& limit,
                                   const std::function<Result<void>(int tree)>& fill) const;
  [[nodiscard]] Result<void> recover_tenant(const std::string& tenant,
                                            const std::set<std::string>& live);
  [[nodiscard]] static Result<std::vector<std::string>> snapshots_of(const Place& at);
  [[nodiscard]] static Result<void> clone_file(const std::string& from, const std::string& to);

  std::string homes_dir_;
  HomeRules rules_;
};

/// Errors: EINVAL with a sentence: a path's part that is not hidden, at most 128 bytes, no control
/// characters, not ending in ".lock".
[[nodiscard]] Result<void> check_home_names(const std::string& tenant, const std::string& home);

}  // namespace panal::storage
