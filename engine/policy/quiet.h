#pragma once

#include <cstdint>
#include <optional>

#include "engine/model/snapshot.h"

namespace panal::policy {

/// What a desktop may do at most and still count as doing nothing.
struct QuietConfig {
  double cpu_cores = 0.01;         ///< an XFCE desktop at rest takes 0.0002
  double bytes_per_second = 1024;  ///< of disks and of the network, each: read and written together
};

/// What a desktop has done since its group was made, at one moment. What is not known is absent,
/// and disturbs nobody.
struct Doings {
  MonotonicNs at_ns = 0;
  std::optional<std::uint64_t> cpu_ns;
  std::optional<std::uint64_t> cpu_wait_us;  ///< PSI some, total
  std::optional<std::uint64_t> io_wait_us;   ///< PSI some, total
  std::optional<std::uint64_t> disk_bytes;
  std::optional<std::uint64_t> network_bytes;
  /// Where it is paged out to a disk, whose traffic is in `disk_bytes`: pages that came back, and
  /// what is out. Nobody's work, but ours.
  std::optional<std::uint64_t> refaulted_pages = {};
  std::optional<std::uint64_t> swapped_bytes = {};
};

/// Without `disk_bytes` being younger than the group's last look, and without the network's.
/// `swap_on_disk`: what is swapped out is (partly) on a disk, and not in zram alone.
[[nodiscard]] Doings doings_of(const GroupSnapshot& group, bool swap_on_disk);

/// Since when a desktop does nothing, so that to stop it takes nothing from its user: no program
/// computes, nothing is read, written, sent or received.
///
/// Counters are compared over windows of kWindow at least, each of which has to be quiet: a program
/// that works for a second now and then is within what is allowed. On a busy host who is of low
/// weight gets little of the CPU: so who waits for it (or for a disk) for much of a window works.
class Quiet {
 public:
  static constexpr MonotonicNs kWindow = 30LL * 1'000'000'000;
  /// Of a window. A desktop at rest on a busy host waits too, each time it wakes.
  static constexpr double kWaitingShare = 0.25;

  /// True when the next look will be compared.
  [[nodiscard]] bool due(MonotonicNs now_ns) const {
    return !base_ || now_ns - base_->at_ns >= kWindow;
  }
  /// Looks nearer than kWindow to the one that counted last are passed over.
  void saw(const Doings& now, const QuietConfig& config);
  /// 0: no window of it was quiet yet, or the last one was not.
  [[nodiscard]] MonotonicNs since_ns() const { return since_ns_; }

 private:
  std::optional<Doings> base_;
  MonotonicNs since_ns_ = 0;
};

}  // namespace panal::policy
