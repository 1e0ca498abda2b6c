#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/base/result.h"

namespace panal::bench {

struct VersionsOptions {
  std::string image = "icewm";  ///< of the cache of tests (scripts/test-image)
  unsigned count = 100;         ///< versions, the image itself the first; 2 or more
  /// Packages with a new version in each week: a guess at what a stable Debian's updates are among
  /// an image's few hundred.
  unsigned packages = 4;
  /// Versions that are packed as tarballs: a hundred take an hour, and differ little.
  unsigned tarballs = 5;
};

/// An image and its versions of the weeks that follow (see update_packages()), kept in a repository
/// and, beside it, as others keep them; in the lab's directory. Of the result:
///   image: name, bytes, files, packages; count, packages_each_week
///   update_mib: means of what a week wrote, and of what it changed: written, changed
///   repository: mib (bare, on a node), trees_mib (the versions' directories, hard links to it),
///     archive_mib (compressed, to publish), commit_seconds_p50, log_seconds, diff_seconds
///   tarballs: gz_mib, zst_mib: of all versions; measured: how many of them, the others are
///     reckoned as the one measured before them
///   qcow2: mib (of the whole chain), base_mib, link_mib (mean); or skipped: why
///   to_repository: by name, how many times as much as the repository with its trees; as the
///     archive, for tarballs_gz and tarballs_zst (which are compressed as it is)
/// Errors: EINVAL outside of a lab; ENOENT without the image, with what to run; what broke off.
[[nodiscard]] Result<nlohmann::json> run_versions(const VersionsOptions& options);

/// A result as a table of Markdown.
[[nodiscard]] std::string versions_table(const nlohmann::json& result);

}  // namespace panal::bench
