#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/ids.h"

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
};

/// Homes: directories <homes>/<tenant>/<home> that outlive roots, uppers and desktops.
/// One writer at a time: a lock file beside the home names the desktop that has it.
/// Thread-safe for different homes.
class HomeStore {
 public:
  explicit HomeStore(std::string homes_dir) : homes_dir_(std::move(homes_dir)) {}
  HomeStore(const HomeStore&) = delete;
  HomeStore& operator=(const HomeStore&) = delete;
  virtual ~HomeStore() = default;

  /// Makes the home if there is none (mode 0700, empty), takes its lock, mounts it idmapped, nosuid
  /// and nodev at
  /// mount_point. Errors: EBUSY "home alice is open in d3", EINVAL for names with / or leading dot.
  [[nodiscard]] virtual Result<void> attach(const HomeSpec& spec);
  /// Unmounts and unlocks. Not attached is not an error. The home's content stays.
  [[nodiscard]] virtual Result<void> detach(const HomeSpec& spec);
  /// The homes there are of a tenant, by name. Errors: EACCES for who is not root.
  [[nodiscard]] Result<std::vector<std::string>> homes_of(const std::string& tenant) const;
  /// After a crash: removes locks of desktops that are not in `live` (kernel names).
  [[nodiscard]] virtual Result<void> recover(const std::set<std::string>& live);
  /// Deletes a home for good. Errors: EBUSY while it is open, ENOENT.
  [[nodiscard]] virtual Result<void> remove(const std::string& tenant, const std::string& home);

 private:
  std::string homes_dir_;
};

}  // namespace panal::storage
