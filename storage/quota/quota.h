#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::storage {

/// What the content of a directory may take on disk; 0: as much as there is.
struct SpaceLimit {
  std::uint64_t bytes = 0;
  std::uint64_t inodes = 0;
  [[nodiscard]] bool any() const { return bytes != 0 || inodes != 0; }
  [[nodiscard]] bool operator==(const SpaceLimit&) const = default;
};

/// What it takes, and may take.
struct SpaceUse {
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> inodes;  ///< none: this kind does not count them
  SpaceLimit limit;
};

/// What holds a directory to its limit.
enum class QuotaKind {
  kNone,     ///< nothing
  kProject,  ///< a project quota of ext4 or xfs
  kQgroup,   ///< a btrfs subvolume and its quota group
  kLoop,     ///< an ext4 of its own in a file beside it
  kMemory,   ///< a tmpfs: gone when the last mount of it goes
};
/// "none", "project", "qgroup", "loop", "memory".
[[nodiscard]] std::string_view to_string(QuotaKind kind);
[[nodiscard]] std::optional<QuotaKind> parse_quota_kind(std::string_view word);

/// One way to hold directories to limits. Stateless: what it needs to know is on the disk. Calls
/// for different directories may run at the same time. Needs root.
class Quota {
 public:
  virtual ~Quota() = default;
  [[nodiscard]] virtual QuotaKind kind() const = 0;

  /// Makes the directory `path` (root's, 0700; its parent exists) and holds it to `limit`; one that
  /// this kind has made gets the other limit. On error there is no new directory.
  /// Errors: EOPNOTSUPP when the file system cannot, or the directory is there without such a
  /// quota; EINVAL for a limit that cannot be (each says why); ENOSPC, EDQUOT.
  [[nodiscard]] virtual Result<void> provide(const std::string& path, const SpaceLimit& limit) = 0;

  /// The content as a detached mount, for set_attributes() and attach(), or to look into: the
  /// descriptor is its root directory's, O_PATH. Errors: ENOENT; EBUSY where it can be mounted once
  /// only.
  [[nodiscard]] virtual Result<UniqueFd> open(const std::string& path) = 0;
  /// True: the directory itself is empty, the content is seen through open() only.
  [[nodiscard]] virtual bool is_apart() const = 0;

  /// Errors: ENOENT, EBUSY where it cannot be seen because it is mounted elsewhere.
  [[nodiscard]] virtual Result<SpaceUse> use(const std::string& path) = 0;

  /// `fresh`, made by this kind in the same parent, takes the place and the name of `path` (which
  /// need not exist) in one step, which no power failure takes back; what `path` was is then
  /// deleted. After an error either all of it has happened but the deletion, or nothing. Errors:
  /// EBUSY, EOPNOTSUPP.
  [[nodiscard]] virtual Result<void> replace(const std::string& fresh, const std::string& path) = 0;

  /// Deletes the content, the directory and what held it. Nothing there is not an error.
  [[nodiscard]] virtual Result<void> remove(const std::string& path) = 0;
};

[[nodiscard]] std::unique_ptr<Quota> make_quota(QuotaKind kind);
/// A tmpfs for each open(); `limit` is that of each.
[[nodiscard]] std::unique_ptr<Quota> make_memory_quota(const SpaceLimit& limit);

/// What a directory that is there is held by. Errors: ENOENT, ENOTDIR.
[[nodiscard]] Result<QuotaKind> quota_kind_of(const std::string& path);

}  // namespace panal::storage
