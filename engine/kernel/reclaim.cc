#include "engine/kernel/reclaim.h"

#include <string>

#include "engine/kernel/cgroup_stat.h"

namespace panal::kernel {
namespace {

constexpr const char* kLimitV1 = "memory.limit_in_bytes";

Result<void> check_amount(const Dir& group, std::uint64_t bytes) {
  if (bytes == 0) return fail(EINVAL, "reclaim 0 bytes of " + group.path());
  return {};
}

/// EAGAIN and EBUSY: it found less than that. EINTR: it was told to stop.
bool found_too_little(const Error& error) {
  return error.code == EAGAIN || error.code == EBUSY || error.code == EINTR;
}

}  // namespace

Result<ReclaimResult> reclaim_v2(const Dir& group, std::uint64_t bytes) {
  PANAL_TRY(check_amount(group, bytes));
  ReclaimResult result;
  PANAL_ASSIGN(result.before_bytes, read_memory_usage(group, 2));
  auto done = group.write("memory.reclaim", std::to_string(bytes));
  if (!done && !found_too_little(done.error())) return tl::make_unexpected(std::move(done.error()));
  result.reached = done.has_value();
  PANAL_ASSIGN(result.after_bytes, read_memory_usage(group, 2));
  return result;
}

Result<void> restore_limit_v1(const Dir& group, std::uint64_t limit_bytes) {
  constexpr int kTries = 10;
  const std::string text = limit_bytes == UINT64_MAX ? "-1" : std::to_string(limit_bytes);
  Result<void> done;
  for (int i = 0; i < kTries; ++i) {
    done = group.write(kLimitV1, text);
    if (done || done.error().is_gone()) return done;
  }
  return done;
}

Result<ReclaimResult> press_v1(const Dir& group, std::uint64_t bytes) {
  PANAL_TRY(check_amount(group, bytes));
  ReclaimResult result;
  // Reading this brings the kernel's counts of the group's pages up to date, which it otherwise
  // does every two seconds: right after another poke it would see nothing to take, and say EBUSY.
  (void)group.read("memory.stat");
  PANAL_ASSIGN(result.before_bytes, read_memory_usage(group, 1));
  const std::uint64_t target = result.before_bytes > bytes ? result.before_bytes - bytes : 0;
  const auto lowered = group.write(kLimitV1, std::to_string(target));
  if (!lowered && !found_too_little(lowered.error())) return tl::make_unexpected(lowered.error());
  result.reached = lowered.has_value();
  return result;
}

Result<ReclaimResult> reclaim_v1(const Dir& group, std::uint64_t bytes) {
  PANAL_TRY(check_amount(group, bytes));
  PANAL_ASSIGN(const std::uint64_t limit, read_number(group, kLimitV1));
  auto pressed = press_v1(group, bytes);
  PANAL_TRY(restore_limit_v1(group, limit));
  if (pressed) {
    PANAL_ASSIGN(pressed->after_bytes, read_memory_usage(group, 1));
  }
  return pressed;
}

}  // namespace panal::kernel
