#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "storage/repo/manifest.h"
#include "storage/repo/object.h"

namespace panal::storage {

class Repository;

/// A version on its way into a repository: the fetcher asks what is missing, brings it, and asks
/// again until nothing is. It does not know where objects come from; everything is checked.
///
///     PANAL_ASSIGN(auto incoming, repository.receive(checksum, bytes));
///     for (;;) {
///       PANAL_ASSIGN(const auto wanted, incoming.missing(500));
///       if (wanted.empty()) break;
///       for (const auto& object : wanted) PANAL_TRY(incoming.add(object, fetch(object)));
///     }
///     PANAL_TRY(incoming.finish());
///
/// While it lives gc() waits. Ended without finish() or keep(), it leaves nothing.
class Incoming {
 public:
  Incoming(Incoming&& other) noexcept;
  Incoming& operator=(Incoming&& other) noexcept = delete;
  ~Incoming();

  [[nodiscard]] const VersionManifest& manifest() const;
  /// Up to `most` objects that are needed and not here: directories first, because they say what
  /// else there is. Empty: all is here. Errors: EPROTO for a directory that is none, or is deeper
  /// than 64 levels, or names "..".
  [[nodiscard]] Result<std::vector<ObjectName>> missing(std::size_t most);
  /// Takes one object from an open file (in the form of archive_path(), read from offset 0).
  /// A file's uncompressed size must not be past `most_bytes`.
  /// Errors: EBADMSG where it is not what its name says, EFBIG, EPROTO, EPERM for a device or
  /// capabilities, ERANGE for an id past 65,535, ENOSPC.
  [[nodiscard]] Result<void> add(const ObjectName& object, int fd, std::uint64_t most_bytes);
  /// Objects and bytes (on disk here) that came so far.
  [[nodiscard]] std::uint64_t objects() const;
  [[nodiscard]] std::uint64_t bytes() const;

  /// All is here: syncs, then names the version. Errors: ENOENT where something is missing, EEXIST
  /// where another commit has this version's name, ENOSPC.
  [[nodiscard]] Result<void> finish();
  /// Ends here; what came is kept until the next gc(), so that another try need not fetch it again.
  [[nodiscard]] Result<void> keep();

 private:
  friend class Repository;
  struct Inner;
  explicit Incoming(std::unique_ptr<Inner> inner);
  std::unique_ptr<Inner> inner_;
};

}  // namespace panal::storage
