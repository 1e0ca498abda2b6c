#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::storage {

/// A file of an archive that came.
struct FetchedFile {
  std::string path;
  UniqueFd file;  ///< at offset 0; nobody's but the caller's
  std::uint64_t bytes = 0;
};

/// Where an archive is read from. It promises sizes and patience, and nothing about contents: what
/// comes is to be checked. For one thread.
class Source {
 public:
  virtual ~Source() = default;
  /// Asks for a file by its path in the archive, of at most `most_bytes`; several may be asked for
  /// before the first one came (kMostInFlight of them). Errors: EINVAL for a path that no archive
  /// has; ECHILD where the source has ended.
  [[nodiscard]] virtual Result<void> want(const std::string& path, std::uint64_t most_bytes) = 0;
  /// One of those that were asked for; waits. After an error the source is of no further use, but
  /// for ENOENT ("... is not there"); nor is one that is left while something is asked for.
  /// Errors: ENOENT, EFBIG, ETIMEDOUT, ECANCELED, EIO; EINVAL when nothing was asked for.
  [[nodiscard]] virtual Result<FetchedFile> next() = 0;
  /// Where it is, for people; without a password.
  [[nodiscard]] virtual const std::string& where() const = 0;
};

/// As many as a server is asked for at once.
inline constexpr std::size_t kMostInFlight = 16;

/// Whether an archive can have a file there: words of [A-Za-z0-9._-] between slashes, none of them
/// beginning with a dot and no ".." in any; at most 200 bytes.
[[nodiscard]] bool is_archive_path(const std::string& path);

/// want() and next() for one.
[[nodiscard]] Result<UniqueFd> fetch_one(Source& source, const std::string& path,
                                         std::uint64_t most_bytes);
/// All of a file that was fetched. Errors: EFBIG past `most_bytes`.
[[nodiscard]] Result<std::string> read_fetched(int file, std::uint64_t most_bytes);

/// An archive in a directory of this machine. Links in it are not followed, and only plain files
/// are read. Errors: ENOENT, ENOTDIR.
[[nodiscard]] Result<std::unique_ptr<Source>> open_local_source(const std::string& directory);

}  // namespace panal::storage
