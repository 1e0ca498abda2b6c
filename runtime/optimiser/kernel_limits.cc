#include "runtime/optimiser/kernel_limits.h"

#include "engine/model/limits.h"
#include "engine/policy/units.h"

namespace panal::optimiser {
namespace {

using policy::real;

/// A slope within twice its error may as well be none (19 times in 20).
constexpr double kNoise = 2;
/// For what the host's own programs and the desktops that run will still open.
constexpr double kReserve = 0.05;

policy::Resource kernel_resource(std::string name, double used, double limit) {
  policy::Resource one;
  one.name = std::move(name);
  one.kind = policy::ResourceKind::kKernelObjects;
  one.used = used;
  one.limit = limit;
  one.reserve = limit * kReserve;
  return one;
}

}  // namespace

policy::MarginalCost beyond_noise(policy::MarginalCost cost) {
  if (cost.each <= kNoise * cost.error) cost.each = 0;
  return cost;
}

void KernelLimits::look(const std::vector<kernel::Cgroup>& groups) {
  const auto note = [](Kind& kind, const Result<kernel::ObjectCount>& count) {
    kind.now = count && count->limit > 0 ? std::optional(*count) : std::nullopt;
  };
  note(files_, kernel::read_open_files(tree_));
  note(terminals_, kernel::read_terminals(tree_));
  keys_.now = key_bytes_.now = std::nullopt;
  if (const auto keys = kernel::read_root_keys(tree_)) {
    note(keys_, keys->keys);
    note(key_bytes_, keys->bytes);
  }
  groups_.clear();
  for (const kernel::Cgroup& group : groups) {
    const auto limit = group.pids_limit();
    if (!limit || *limit == kUnlimited || *limit == 0) continue;
    const auto usage = group.statistics();
    if (!usage || !usage->pids) continue;
    groups_.push_back({"processes in group " + group.path(), real(*usage->pids), real(*limit)});
  }
}

void KernelLimits::learn(const policy::ImageCounts& counts, const Census& census) {
  const auto learn = [&](Kind& kind, const policy::ImageWeights& weights) {
    if (kind.now) kind.learnt.learn(counts, real(kind.now->used), weights);
  };
  learn(files_, census.weights(Weigh::kTasks));
  // One is the desktop's console, whatever its image; others are the user's.
  learn(terminals_, {});
  learn(keys_, {});
  learn(key_bytes_, {});
}

void KernelLimits::add_to(std::vector<Counted>& all, const policy::MarginalCost& task) const {
  for (const GroupTasks& group : groups_) {
    policy::Resource one = kernel_resource(group.name, group.used, group.limit);
    one.cost = task;
    all.push_back({std::move(one), Weigh::kTasks, true});
  }
  const auto add = [&all](const Kind& kind, std::optional<Weigh> by) {
    if (!kind.now) return;
    policy::Resource one = kernel_resource(kind.name, real(kind.now->used), real(kind.now->limit));
    if (kind.now->reserve > 0) one.reserve = real(kind.now->reserve);
    one.cost = beyond_noise(kind.learnt.cost);
    if (!one.cost.measured) one.unknown = "not measured yet";
    all.push_back({std::move(one), by, true});
  };
  add(files_, Weigh::kTasks);
  add(terminals_, std::nullopt);
  add(keys_, std::nullopt);
  add(key_bytes_, std::nullopt);
}

}  // namespace panal::optimiser
