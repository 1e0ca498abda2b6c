#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"
#include "runtime/config/config.h"
#include "storage/home/home_store.h"
#include "storage/quota/mount_table.h"
#include "storage/quota/pool.h"
#include "storage/quota/probe.h"

/// What a node's configuration means for homes and layers, with the reasons.
namespace panal::space {

/// Which quota holds writable layers, and to what.
struct LayerRules {
  storage::QuotaKind persistent = storage::QuotaKind::kNone;
  storage::QuotaKind volatiles = storage::QuotaKind::kNone;
  storage::SpaceLimit limit;
};

struct HomePlan {
  bool remote = false;  ///< work on them is done by panal-home, with a time limit
  std::string place;    ///< "nfs4 (server:/export)", for people
  storage::HomeRules rules;
  std::string why;  ///< about the quota
};

/// Whether homes may hang, by the configuration, else by the file system's type. `table`: the mount
/// table of who asks; no file system is touched.
[[nodiscard]] bool homes_are_remote(const config::Config& config,
                                    const std::vector<storage::MountLine>& table);

/// `findings` of the homes' directory; none are needed (nor wanted: it might hang) where they are
/// remote. What cannot be had is still planned, so that a home that needs it says why at its start.
[[nodiscard]] HomePlan plan_homes(const config::Config& config,
                                  const std::vector<storage::MountLine>& table,
                                  const std::vector<storage::QuotaFinding>& findings);
/// Whether plan_homes() or plan_layers() wants findings.
[[nodiscard]] bool homes_want_probe(const config::Config& config, bool remote);
[[nodiscard]] bool layers_want_probe(const config::Config& config);

struct LayerPlan {
  LayerRules rules;
  std::string why;
};
[[nodiscard]] LayerPlan plan_layers(const config::Config& config,
                                    const std::vector<storage::QuotaFinding>& findings);

[[nodiscard]] storage::PoolSpec pool_spec(const config::Config& config);

}  // namespace panal::space
