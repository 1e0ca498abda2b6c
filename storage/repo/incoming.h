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
/// The repository must outlive it, and does nothing else meanwhile; gc() waits. Ended without
/// finish(), what came is kept until the next gc(), so that another try need not fetch it again.
class Incoming {
 public:
  Incoming(Incoming&& other) noexcept;
  Incoming& operator=(Incoming&& other) = delete;
  ~Incoming();

  [[nodiscard]] const VersionManifest& manifest() const;
  /// Up to `most` objects that are needed and not here: directories first, because they say what
  /// else there is. Empty: all is here. Errors: those of parse_dirtree().
  [[nodiscard]] Result<std::vector<ObjectName>> missing(std::size_t most);
  /// Takes one object from an open file (in the form of archive_path(), read from offset 0).
  /// A file's uncompressed size must not be past `most_bytes`.
  /// Errors: EBADMSG where it is not what its name says, EFBIG, EPROTO, EPERM for attributes other
  /// than file capabilities, ERANGE for an id past 65,535, ENOSPC.
  [[nodiscard]] Result<void> add(const ObjectName& object, int fd, std::uint64_t most_bytes);
  /// Takes one object from another repository on this machine, checked as well.
  [[nodiscard]] Result<void> copy(const Repository& source, const ObjectName& object);
  /// Objects that came so far, and the bytes of their content.
  [[nodiscard]] std::uint64_t objects() const;
  [[nodiscard]] std::uint64_t bytes() const;

  /// All is here: syncs, then names the version. Errors: ENOENT where something is missing, EEXIST
  /// where another commit has this version's name, EPROTO for a tree deeper than 64 levels or of
  /// more than kMostEntries entries (directories that hold one another many times over), ENOSPC.
  [[nodiscard]] Result<void> finish();

  static constexpr std::uint64_t kMostEntries = 4'000'000;  ///< a full desktop has 100,000

 private:
  friend class Repository;
  struct Inner;
  explicit Incoming(std::unique_ptr<Inner> inner);
  std::unique_ptr<Inner> inner_;
};

}  // namespace panal::storage
