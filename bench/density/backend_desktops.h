#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::bench {

struct BackendDesktopsOptions {
  std::vector<std::string> arms = {};  ///< of backend_arms(); empty: all
  std::string image = "xfce";
  std::size_t count = 20;
  unsigned settle_seconds = 90;  ///< at most
  std::string lvm_pool = {};     ///< "group/pool"
};

/// Living desktops with roots of each backend in turn, on a node of its own each, without an
/// optimiser. Of the result, by arm:
///   desktops; pss_mib of all their processes, of it pss_anon_mib and pss_file_mib (see describe()
///     of host_watch.h); daemons_pss_mib of the programs that serve roots (FUSE); settled;
///     connected_seconds, from the first start to the last client; or failed; or skipped: why, or,
///     where an arm's desktops are like another's, as which
/// Errors: the machine's own trees cannot be read. An arm that broke off is none: the others have
/// taken their time.
[[nodiscard]] Result<nlohmann::json> run_backend_desktops(const BackendDesktopsOptions& options);

}  // namespace panal::bench
