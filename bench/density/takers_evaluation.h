#pragma once

#include <optional>
#include <string>
#include <vector>

namespace panal::bench {

/// In which order memory is merged by KSM and taken back.
enum class TakersOrder { kAlone, kMergedFirst, kTakenFirst };
[[nodiscard]] const char* to_string(TakersOrder order);
inline constexpr TakersOrder kTakersOrders[] = {TakersOrder::kAlone, TakersOrder::kMergedFirst,
                                                TakersOrder::kTakenFirst};

/// One way to take memory back, in one order, once. Sums over all desktops; bytes where nothing
/// else is said. What it costs is the groups' charge and zram's memory, which is in no charge.
struct TakersCell {
  std::string way;
  TakersOrder order = TakersOrder::kAlone;
  double cost_before = 0;   ///< all in memory, nothing merged, nothing out
  double cost_after = 0;    ///< taken and, but for "alone", merged
  double cost_touched = 0;  ///< once all that was out has been read again
  double yield = 0;         ///< the charge that the taking alone made less
  double smaps_out = 0;     ///< what smaps has in swap after it, before compression
  double zram = 0;          ///< memory of zram after it
  double merged = 0;        ///< KSM's profit, in the end
  double take_cpu_ms = 0;
  double ksmd_cpu_ms = 0;      ///< 0: it cannot be seen
  double refaulted_pages = 0;  ///< by the groups' own count, while all was read again
  double touch_ms = 0;         ///< how long that took

  [[nodiscard]] double mib_per_cpu_ms() const;
};

/// Of all rounds of one way and order.
struct TakersMedian {
  TakersCell median;  ///< of each number by itself
  std::size_t rounds = 0;
  double least_mib_per_cpu_ms = 0, median_mib_per_cpu_ms = 0, most_mib_per_cpu_ms = 0;
};

/// By way and order, as they first come.
[[nodiscard]] std::vector<TakersMedian> takers_medians(const std::vector<TakersCell>& cells);

/// Whether memory is better merged before it is taken: what both orders leave to be paid for is
/// less that way, or the same (within 2 %) for less CPU of ksmd's and the taker's. Nothing: one of
/// the orders was not measured.
[[nodiscard]] std::optional<bool> merge_first_pays(const std::vector<TakersMedian>& medians,
                                                   const std::string& way);

}  // namespace panal::bench
