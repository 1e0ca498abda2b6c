#include "netconfine/qos/shape.h"

#include <fmt/format.h>

#include <algorithm>

namespace panal::netconfine {
namespace {

constexpr std::uint64_t kLeastBytesPerSecond = 125;             // 1 kbit/s
constexpr std::uint64_t kMostBytesPerSecond = 125'000'000'000;  // 1 Tbit/s: "no bound"
// Two Ethernet frames: a bucket below one frame would never let it go at full rate.
constexpr std::uint64_t kLeastBurstBytes = 3028;
// HTB remembers at most a minute of unused rate; a deeper bucket would be a lie.
constexpr std::uint64_t kMostBurstSeconds = 60;
// The contract's default (policy.h): what 50 ms bring.
constexpr std::uint64_t kBurstPartOfSecond = 20;
// What every desktop has for itself, as a part of its parent's rate, so that those who are not
// active crawl and do not stand. Children's own rates may not add up to more than the parent's, or
// its rate would not hold: 4,096 desktops a tenant.
constexpr std::uint64_t kOwnPart = 4096;
// A desktop's packets that wait are kernel memory nobody is charged for. 64 KiB is one segment of
// generic segmentation offload; 256 KiB are 20 ms at 100 Mbit/s.
constexpr std::uint64_t kLeastQueueBytes = 128 << 10;
constexpr std::uint64_t kMostQueueBytes = 256 << 10;
constexpr std::uint64_t kStrayBytesPerSecond = 16'000;  // 128 kbit/s

std::uint64_t bytes_of(std::uint64_t bits_per_second) {
  if (bits_per_second == 0) return kMostBytesPerSecond;
  return std::clamp(bits_per_second / 8, kLeastBytesPerSecond, kMostBytesPerSecond);
}

std::uint32_t burst_of(std::uint64_t bytes_per_second, std::uint64_t wanted_bytes) {
  const std::uint64_t burst =
      wanted_bytes != 0 ? wanted_bytes : bytes_per_second / kBurstPartOfSecond;
  const std::uint64_t most =
      std::min<std::uint64_t>(bytes_per_second * kMostBurstSeconds, std::uint64_t{1} << 31);
  return static_cast<std::uint32_t>(std::max(std::min(burst, most), kLeastBurstBytes));
}

std::uint32_t queue_of(std::uint64_t bytes_per_second) {
  return static_cast<std::uint32_t>(
      std::clamp(bytes_per_second / kBurstPartOfSecond, kLeastQueueBytes, kMostQueueBytes));
}

}  // namespace

ShapedDesktop shaped(const Addresses& addresses, const CompiledPolicy& policy,
                     SessionClass session) {
  // A compiled policy with shared rates is one tenant's; no name has an "@".
  return {addresses, policy.name + "@" + policy.tenant, policy.limits, policy.tenant_limits,
          session};
}

Result<Minor> desktop_minor(const Addresses& addresses) {
  const auto& mac = addresses.mac;
  const unsigned low = static_cast<unsigned>(mac[4]) << 8 | mac[5];
  if (mac[2] != 0 || mac[3] != 0 || low == 0 || low > kLastDesktopMinor) {
    return fail(ENOSPC,
                fmt::format("{}: rates can be had by the first {} addresses of a node; give "
                            "its policy no rates, or desktops a shorter prefix",
                            addresses.link, kLastDesktopMinor));
  }
  return static_cast<Minor>(low);
}

std::uint32_t priority_of(SessionClass session) {
  switch (session) {
    case SessionClass::kActive: return 0;
    case SessionClass::kIdle: return 1;
    case SessionClass::kDisconnected:
    case SessionClass::kFrozen: break;
  }
  return 2;
}

ShapeClass root_class(std::uint64_t line_bits_per_second) {
  ShapeClass root = tenant_class(kRootMinor, line_bits_per_second, 0);
  root.parent = 0;
  return root;
}

ShapeClass stray_class() {
  ShapeClass stray;
  stray.minor = kStrayMinor;
  stray.parent = kRootMinor;
  stray.rate_bytes_per_second = kStrayBytesPerSecond;
  stray.ceil_bytes_per_second = kStrayBytesPerSecond;
  stray.rate_burst_bytes = burst_of(kStrayBytesPerSecond, 0);
  stray.ceil_burst_bytes = stray.rate_burst_bytes;
  stray.priority = 7;
  stray.queue_bytes = 16 << 10;
  return stray;
}

ShapeClass tenant_class(Minor minor, std::uint64_t bits_per_second, std::uint32_t burst_bytes) {
  ShapeClass shape;
  shape.minor = minor;
  shape.parent = kRootMinor;
  shape.rate_bytes_per_second = bytes_of(bits_per_second);
  shape.ceil_bytes_per_second = shape.rate_bytes_per_second;
  shape.rate_burst_bytes = burst_of(shape.rate_bytes_per_second, burst_bytes);
  shape.ceil_burst_bytes = shape.rate_burst_bytes;
  return shape;
}

ShapeClass desktop_class(Minor minor, const ShapeClass& parent, std::uint64_t bits_per_second,
                         std::uint64_t burst_bytes, SessionClass session) {
  ShapeClass shape;
  shape.minor = minor;
  shape.parent = parent.minor;
  // Past the parent's rate there is nothing to borrow.
  shape.ceil_bytes_per_second = std::min(bytes_of(bits_per_second), parent.rate_bytes_per_second);
  shape.rate_bytes_per_second =
      std::min(shape.ceil_bytes_per_second,
               std::max(parent.rate_bytes_per_second / kOwnPart, kLeastBytesPerSecond));
  shape.rate_burst_bytes = burst_of(shape.rate_bytes_per_second, 0);
  shape.ceil_burst_bytes = burst_of(shape.ceil_bytes_per_second, burst_bytes);
  shape.priority = priority_of(session);
  shape.queue_bytes = queue_of(shape.ceil_bytes_per_second);
  return shape;
}

}  // namespace panal::netconfine
