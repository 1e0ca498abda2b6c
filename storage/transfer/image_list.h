#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace panal::storage {

/// A version that an archive offers.
///
/// Its manifest is in the commit, so the commit's checksum vouches for that, too.
struct ListedVersion {
  std::string image;    ///< is_plain_name()
  std::string version;  ///< is_plain_name(): "2026.11.26-1"
  std::string commit;   ///< checksum of its commit: 64 hex digits
  std::int64_t created_unix_s = 0;
  std::uint64_t size_bytes = 0;  ///< of its files, for people
};

/// What an archive offers. Every list that is signed has a greater serial number than the one
/// before: who has seen one takes no older one.
struct ImageList {
  std::uint64_t serial = 0;             ///< from 1
  std::int64_t created_unix_s = 0;      ///< when it was signed
  std::int64_t expires_unix_s = 0;      ///< not to be believed from then on; 0: for ever
  std::vector<ListedVersion> versions;  ///< by image, then version; none twice
};

/// Longest list that is written or read, and the most versions it may name.
inline constexpr std::size_t kMostListBytes = std::size_t{16} << 20U;
inline constexpr std::size_t kMostListedVersions = 50'000;

/// JSON, and back. Errors: EPROTO that names `where` and what is wrong.
[[nodiscard]] std::string print_list(const ImageList& list);
[[nodiscard]] Result<ImageList> parse_list(std::string_view text, const std::string& where);

/// Adds a version, or takes the place of the one of that name. Errors: EINVAL for a name or digest
/// that cannot be listed; EEXIST for another commit under a name that is taken: versions never
/// change; ENOSPC past kMostListedVersions.
[[nodiscard]] Result<void> add_version(ImageList& list, ListedVersion version);
/// Errors: ENOENT with the versions there are.
[[nodiscard]] Result<ListedVersion> find_version(const ImageList& list, const std::string& image,
                                                 const std::string& version);

}  // namespace panal::storage
