// The limits of a group, on both versions.
#include <algorithm>

#include "engine/kernel/cgroup.h"
#include "engine/kernel/cgroup_stat.h"
#include "engine/kernel/text.h"

namespace panal::kernel {
namespace {

/// v1 says "none" with the largest number of whole pages.
constexpr std::uint64_t kNoneV1 = UINT64_MAX / 4;

std::string bytes_text(std::uint64_t bytes, int version) {
  if (bytes >= kNoneV1) return version == 2 ? "max" : "-1";
  return std::to_string(bytes);
}

/// v1 keeps two limits, of memory and of memory with swap, and the former must never be above the
/// latter: so the order depends on where they go.
Result<void> set_memory_v1(const Dir& dir, std::uint64_t hard) {
  const auto both = read_number(dir, "memory.memsw.limit_in_bytes");
  const bool below_both = !both || *both >= kNoneV1 || hard <= *both;
  if (!below_both) PANAL_TRY(dir.write("memory.memsw.limit_in_bytes", bytes_text(hard, 1)));
  return dir.write("memory.limit_in_bytes", bytes_text(hard, 1));
}

/// Of 200 parts of reclaim, what goes to programs' own memory: not nothing, or a group that is over
/// its own limit would be killed for it.
constexpr std::uint64_t kSwappinessLast = 10;

/// What a v1 group swaps is told by its swappiness; the parent's is the usual one.
Result<void> set_swapping_v1(const CgroupRoot::Hierarchy& hierarchy, const std::string& path,
                             Swapping swapping) {
  std::uint64_t value = 0;
  if (swapping != Swapping::kNever) {
    const auto slash = path.rfind('/');
    const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash);
    PANAL_ASSIGN(value, read_number(hierarchy.dir, parent + "/memory.swappiness"));
    if (swapping == Swapping::kLast) value = std::min(value, kSwappinessLast);
  }
  return hierarchy.dir.write(path + "/memory.swappiness", std::to_string(value));
}

/// A file that a kernel without the feature lacks.
Result<void> write_if_there(const Dir& dir, const char* file, const std::string& value) {
  auto done = dir.write(file, value);
  if (!done && done.error().code == ENOENT) return {};
  return done;
}

bool knows_no_weights(const Error& error) { return error.code == ENOENT || error.is_unsupported(); }

/// v2's 100 is the schedulers' 100 but for the old one of v1, whose 500 it is.
Result<void> write_io_weight(const Dir& dir, const std::string& prefix, int version,
                             std::uint32_t weight) {
  const std::uint32_t bfq = std::clamp<std::uint32_t>(weight, 1, 1000);
  const std::uint32_t cfq = std::clamp<std::uint32_t>(weight * 5, 10, 1000);
  const std::pair<const char*, std::string> v1[] = {{"blkio.bfq.weight", std::to_string(bfq)},
                                                    {"blkio.weight", std::to_string(cfq)}};
  const std::pair<const char*, std::string> v2[] = {
      {"io.weight", "default " + std::to_string(std::clamp<std::uint32_t>(weight, 1, 10'000))},
      {"io.bfq.weight", std::to_string(bfq)}};
  // Whichever schedulers this kernel has: they are chosen disk by disk.
  for (const auto& [knob, value] : version == 2 ? v2 : v1)
    if (auto done = dir.write(prefix + knob, value); !done && !knows_no_weights(done.error()))
      return done;
  return {};
}

Result<void> write_io_limit(const Dir& dir, const std::string& prefix, int version,
                            const IoLimit& limit) {
  const auto speed = [](std::uint64_t bytes) {
    return bytes == 0 ? std::string("max") : std::to_string(bytes);
  };
  if (version == 2)
    return dir.write(prefix + "io.max", limit.device +
                                            " rbps=" + speed(limit.read_bytes_per_second) +
                                            " wbps=" + speed(limit.write_bytes_per_second));
  // 0 takes a limit away.
  PANAL_TRY(dir.write(prefix + "blkio.throttle.read_bps_device",
                      limit.device + " " + std::to_string(limit.read_bytes_per_second)));
  return dir.write(prefix + "blkio.throttle.write_bps_device",
                   limit.device + " " + std::to_string(limit.write_bytes_per_second));
}

}  // namespace

Failure Cgroup::lacks(const char* controller) const {
  return fail(ENOTSUP, "limit cgroup " + path_ + ": no " + controller + " controller");
}

Result<void> Cgroup::set_limits(const Limits& limits) const {
  PANAL_TRY(set_memory(limits));
  if (limits.pids) {
    const Part* part = part_with("pids");
    if (part == nullptr) return lacks("pids");
    PANAL_TRY(part->dir.write("pids.max", std::to_string(*limits.pids)));
  }
  PANAL_TRY(set_cpu(limits));
  return set_io(limits);
}

Result<void> Cgroup::set_memory(const Limits& limits) const {
  if (!limits.memory_bytes && !limits.memory_soft_bytes && !limits.swapping) return {};
  const Part* part = part_with("memory");
  if (part == nullptr) return lacks("memory");
  const int version = part->mount->version;
  if (limits.memory_bytes) {
    const std::lock_guard lock(pressed_->mutex);
    PANAL_TRY(version == 2 ? part->dir.write("memory.max", bytes_text(*limits.memory_bytes, 2))
                           : set_memory_v1(part->dir, *limits.memory_bytes));
    // Not one that was refused.
    if (pressed_->now) pressed_->own_bytes = *limits.memory_bytes;
  }
  if (limits.memory_soft_bytes)
    PANAL_TRY(part->dir.write(version == 2 ? "memory.high" : "memory.soft_limit_in_bytes",
                              bytes_text(*limits.memory_soft_bytes, version)));
  if (!limits.swapping) return {};
  if (version == 2) {
    PANAL_TRY(write_if_there(part->dir, "memory.swap.max",
                             *limits.swapping == Swapping::kNever ? "0" : "max"));
    return part->dir.write("memory.low", *limits.swapping == Swapping::kLast ? "max" : "0");
  }
  for (const CgroupRoot::Hierarchy& hierarchy : root_.hierarchies())
    if (hierarchy.mount.has("memory")) return set_swapping_v1(hierarchy, path_, *limits.swapping);
  return lacks("memory");
}

Result<void> Cgroup::protect(std::uint64_t bytes) const {
  const Part* part = part_with("memory");
  if (part == nullptr) return lacks("memory");
  if (part->mount->version == 1) return {};
  return part->dir.write("memory.low", bytes_text(bytes, 2));
}

Result<std::uint64_t> Cgroup::lower_memory_limit(std::uint64_t present,
                                                 std::uint64_t wanted) const {
  constexpr std::uint64_t kWholePage = 4096;
  const Part* part = part_with("memory");
  if (part == nullptr) return lacks("memory");
  const bool v2 = part->mount->version == 2;
  Limits limits;
  limits.memory_bytes = wanted;
  // The last thing before the write.
  PANAL_ASSIGN(const std::uint64_t used, read_memory_usage(part->dir, part->mount->version));
  if (!v2 && used >= wanted) return present;
  if (v2)
    limits.memory_bytes =
        std::max(wanted, (used + kLimitMargin + kWholePage - 1) / kWholePage * kWholePage);
  if (*limits.memory_bytes >= present) return present;
  PANAL_TRY(set_memory(limits));
  return *limits.memory_bytes;
}

Result<void> Cgroup::set_cpu(const Limits& limits) const {
  if (!limits.cpu_weight && !limits.cpu_quota_permille) return {};
  const Part* part = part_with("cpu");
  if (part == nullptr) return lacks("cpu");
  constexpr std::uint64_t kPeriodUs = 100'000;
  if (limits.cpu_weight) {
    const std::uint64_t weight = std::clamp<std::uint64_t>(*limits.cpu_weight, 1, 10'000);
    // v1's 1024 is v2's 100; v1 takes 2 at least.
    PANAL_TRY(part->mount->version == 2
                  ? part->dir.write("cpu.weight", std::to_string(weight))
                  : part->dir.write("cpu.shares", std::to_string(std::max<std::uint64_t>(
                                                      2, weight * 1024 / 100))));
  }
  if (!limits.cpu_quota_permille) return {};
  // The kernel refuses less than 1 ms a period.
  const std::uint64_t quota_us =
      std::max<std::uint64_t>(1000, *limits.cpu_quota_permille * kPeriodUs / 1000);
  const bool none = *limits.cpu_quota_permille == 0;
  if (part->mount->version == 2)
    return part->dir.write(
        "cpu.max", (none ? "max" : std::to_string(quota_us)) + " " + std::to_string(kPeriodUs));
  if (none) return part->dir.write("cpu.cfs_quota_us", "-1");
  PANAL_TRY(part->dir.write("cpu.cfs_period_us", std::to_string(kPeriodUs)));
  return part->dir.write("cpu.cfs_quota_us", std::to_string(quota_us));
}

/// v1's blkio is opened by path, as no handle holds it.
Result<void> Cgroup::set_io(const Limits& limits) const {
  if (!limits.io_weight && !limits.io) return {};
  for (const CgroupRoot::Hierarchy& hierarchy : root_.hierarchies()) {
    const bool v1 = hierarchy.mount.has("blkio");
    if (!v1 && !(hierarchy.mount.version == 2 && hierarchy.mount.has("io"))) continue;
    const int version = v1 ? 1 : 2;
    const std::string prefix = path_ + "/";
    if (limits.io_weight)
      PANAL_TRY(write_io_weight(hierarchy.dir, prefix, version, *limits.io_weight));
    if (limits.io) PANAL_TRY(write_io_limit(hierarchy.dir, prefix, version, *limits.io));
    return {};
  }
  return lacks("io");
}

Result<void> Cgroup::lift_io_limits() const {
  for (const CgroupRoot::Hierarchy& hierarchy : root_.hierarchies()) {
    const bool v1 = hierarchy.mount.has("blkio");
    if (!v1 && !(hierarchy.mount.version == 2 && hierarchy.mount.has("io"))) continue;
    const auto lift = [&](const char* knob, const char* none) -> Result<void> {
      const std::string file = path_ + "/" + knob;
      const auto limits = hierarchy.dir.read(file);
      if (!limits && limits.error().is_gone()) return {};  // a kernel may have none
      if (!limits) return tl::make_unexpected(limits.error());
      for (const std::string_view line : lines_of(*limits)) {
        const auto words = words_of(line);
        if (words.empty()) continue;
        PANAL_TRY(hierarchy.dir.write(file, std::string(words[0]) + " " + none));
      }
      return {};
    };
    if (!v1) return lift("io.max", "rbps=max wbps=max riops=max wiops=max");
    PANAL_TRY(lift("blkio.throttle.read_bps_device", "0"));
    return lift("blkio.throttle.write_bps_device", "0");
  }
  return lacks("io");
}

Result<std::uint64_t> Cgroup::memory_limit() const {
  const Part* part = part_with("memory");
  if (part == nullptr) return fail(ENOTSUP, "read memory of " + path_ + ": no memory controller");
  const std::lock_guard lock(pressed_->mutex);
  std::uint64_t limit = pressed_->own_bytes;
  if (!pressed_->now) {
    const char* const file = part->mount->version == 2 ? "memory.max" : "memory.limit_in_bytes";
    PANAL_ASSIGN(limit, read_number(part->dir, file));
  }
  return limit >= kNoneV1 ? kUnlimited : limit;
}

Result<std::uint64_t> Cgroup::pids_limit() const {
  const Part* part = part_with("pids");
  if (part == nullptr) return fail(ENOTSUP, "read pids of " + path_ + ": no pids controller");
  return read_number(part->dir, "pids.max");  // "max" is kUnlimited
}

Result<std::uint64_t> Cgroup::memory_with_swap() const {
  const Part* part = part_with("memory");
  if (part == nullptr) return fail(ENOTSUP, "read memory of " + path_ + ": no memory controller");
  if (part->mount->version == 1) {
    // Kernels that do not account swap lack the file.
    if (auto both = read_number(part->dir, "memory.memsw.usage_in_bytes")) return both;
    return read_memory_usage(part->dir, 1);
  }
  PANAL_ASSIGN(const std::uint64_t charge, read_memory_usage(part->dir, 2));
  const auto swap = read_number(part->dir, "memory.swap.current");
  return charge + (swap ? *swap : 0);
}

}  // namespace panal::kernel
