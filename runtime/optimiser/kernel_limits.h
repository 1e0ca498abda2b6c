#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/tree.h"
#include "engine/kernel/cgroup.h"
#include "engine/kernel/kernel_objects.h"
#include "engine/policy/cost_model.h"
#include "runtime/optimiser/census.h"
#include "runtime/optimiser/counted.h"

namespace panal::optimiser {

/// The samples of one resource, and what was made of them.
struct Learnt {
  policy::CostSamples samples;
  policy::MarginalCost cost;  ///< of a desktop of weight 1, as of the last fit

  void learn(const policy::ImageCounts& counts, double used, const policy::ImageWeights& weights) {
    samples.add(counts, used);
    cost = samples.fit(weights);
  }
};

/// A cost that is there, or nothing: a slope that is hardly more than its own error is noise.
[[nodiscard]] policy::MarginalCost beyond_noise(policy::MarginalCost cost);

/// What the kernel allows so many of: processes of the groups around the desktops, open files,
/// pseudoterminals, host root's keys. What is not limited, or not told, is left out. For one
/// thread.
class KernelLimits {
 public:
  explicit KernelLimits(const Tree& tree) : tree_(tree) {}

  /// Four small files, and some of each group.
  void look(const std::vector<kernel::Cgroup>& groups);
  /// What the last look saw is what so many desktops take.
  void learn(const policy::ImageCounts& counts, const Census& census);
  /// As of the last look. `task`: what a desktop takes of processes, the host's and the groups'.
  void add_to(std::vector<Counted>& all, const policy::MarginalCost& task) const;

 private:
  struct Kind {
    const char* name;
    std::optional<kernel::ObjectCount> now = {};
    Learnt learnt = {};
  };
  struct GroupTasks {
    std::string name;
    double used = 0, limit = 0;
  };

  const Tree& tree_;
  Kind files_{"open files"};
  Kind terminals_{"terminals"};
  Kind keys_{"keys of root"};
  Kind key_bytes_{"bytes of root's keys"};
  std::vector<GroupTasks> groups_;
};

}  // namespace panal::optimiser
