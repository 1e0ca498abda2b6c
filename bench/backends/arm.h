#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/backends/bench_version.h"
#include "engine/base/cleanup.h"
#include "engine/base/result.h"
#include "storage/compose/backend.h"
#include "storage/compose/facts.h"

namespace panal::bench {

/// One way to make roots, set up to be measured.
struct Arm {
  std::string name;
  std::unique_ptr<storage::ComposeBackend> backend;
  std::string skipped;  ///< why it cannot be had here; the rest is empty then
  std::string base;     ///< desktops' state is below it
  std::string version_root;
  std::vector<std::string> layers;
  std::string pool;  ///< its own file system, mounted; "": it is on the lab's disk
  Cleanup undo;      ///< after the backend is done with
};

struct ArmSite {
  std::string directory;  ///< new and empty
  const BenchVersion& version;
  const storage::ComposeFacts& facts;
  std::string lvm_pool;  ///< "group/pool"; empty: none
};

/// Errors: EINVAL for an unknown name; what setting up the pool, or copying the version into it,
/// says.
[[nodiscard]] Result<Arm> open_arm(const std::string& name, const ArmSite& site);

/// Desktop `number` of an arm; its directories are made.
[[nodiscard]] Result<storage::RootSpec> arm_spec(const Arm& arm, const std::string& directory,
                                                 std::size_t number);

}  // namespace panal::bench
