#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::bench {

struct BackendsOptions {
  /// Of backend_arms(); empty: all.
  std::vector<std::string> arms = {};
  std::string image = {};   ///< of the cache of tests; empty: a tree that is made (128 MiB)
  std::size_t count = 400;  ///< roots at the same time
  std::size_t cycles =
      101;  ///< one root unmade and made again, so many times, with one and with all
  /// Roots at the same time of arms that copy the whole version for each (copy, copy-reflink); at
  /// most `count`.
  std::size_t copies = 20;
  std::size_t copy_cycles = 11;  ///< `cycles` of copy
  /// An arm stops adding roots after so long, or when the disk has less than 8 GiB left.
  unsigned fill_seconds = 120;
  std::string lvm_pool = {};  ///< "group/pool" for arm lvm; empty: it is skipped
};

/// overlay, overlay-layers (three lowers), tmpfs, bind, copy, copy-reflink (on btrfs in a file),
/// btrfs, fuse-overlayfs, unionfs-fuse, lvm: in the order of the table.
[[nodiscard]] const std::vector<std::string>& backend_arms();

/// Each arm in turn, in the lab's directory: what its roots cost. Of the result:
///   version: name, bytes, files
///   arms: by name: count (roots that stood), one and many (provision_ms, destroy_ms: spreads, with
///     one root and with all), fill_ms, disk_kib (of one root), mounts (of one root), and of two
///     roots first_read_ms, second_read_ms, second_shared_percent (of what the first has read),
///     second_extra_mib (page cache that the second's reading added), stat_first_us, stat_again_us,
///     open_first_us, open_again_us (spreads), seconds (of all of it); or skipped, or failed: why
/// Errors: outside of a lab; no version to make roots of. An arm that broke off is none: the others
/// have taken their time.
[[nodiscard]] Result<nlohmann::json> run_backends(const BackendsOptions& options);

/// A result as a table of Markdown, for docs/storage.md. Where arms have `live` (see
/// run_backend_desktops()), with the sum of their PSS.
[[nodiscard]] std::string backends_table(const nlohmann::json& result);

}  // namespace panal::bench
