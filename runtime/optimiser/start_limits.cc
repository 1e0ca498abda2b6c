#include "runtime/optimiser/start_limits.h"

#include <optional>

namespace panal::optimiser {
namespace {

/// Of weights of CPU and I/O.
constexpr std::uint32_t kUsualWeight = 100;

Result<void> raise_hard_limit(const kernel::Cgroup& group, const Limits& at_start) {
  if (!at_start.memory_bytes) return {};
  PANAL_ASSIGN(const std::uint64_t present, group.memory_limit());
  if (present >= *at_start.memory_bytes) return {};
  Limits hard;
  hard.memory_bytes = at_start.memory_bytes;
  return group.set_limits(hard);
}

}  // namespace

Result<void> restore_start_limits(const kernel::Cgroup& group, const Limits& at_start) {
  std::optional<Error> refused;
  const auto keep = [&refused](const Result<void>& done) {
    // A group may lack controllers, and a kernel files.
    const bool lacking = !done && (done.error().is_unsupported() || done.error().code == ENOENT);
    if (!done && !lacking && !refused) refused = done.error();
  };
  const auto set = [&](auto knob, auto value) {
    Limits one;
    one.*knob = value;
    keep(group.set_limits(one));
  };
  // First of all: above it a desktop stands still.
  keep(raise_hard_limit(group, at_start));
  set(&Limits::memory_soft_bytes, at_start.memory_soft_bytes.value_or(kUnlimited));
  set(&Limits::swapping, at_start.swapping.value_or(Swapping::kUsual));
  if (at_start.pids) set(&Limits::pids, *at_start.pids);
  set(&Limits::cpu_weight, at_start.cpu_weight.value_or(kUsualWeight));
  set(&Limits::cpu_quota_permille, at_start.cpu_quota_permille.value_or(0));
  set(&Limits::io_weight, at_start.io_weight.value_or(kUsualWeight));
  keep(group.lift_io_limits());
  // The end of a desktop is no refusal.
  PANAL_TRY(group.populated());
  if (refused) return tl::make_unexpected(std::move(*refused));
  return {};
}

}  // namespace panal::optimiser
