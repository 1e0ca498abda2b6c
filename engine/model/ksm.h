#pragma once

#include <cstdint>
#include <optional>

/// Kernel same-page merging. Kernel: Documentation/admin-guide/mm/ksm.rst; pages are 4 KiB.
namespace panal {

enum class KsmRun : std::uint8_t {
  kStopped = 0,  ///< ksmd stands; what is merged stays merged
  kRunning = 1,
  kUnmerging = 2,  ///< stopped, and all was unmerged (needs the memory back at once)
};

enum class KsmAdvisor : std::uint8_t { kNone, kScanTime };

/// The knobs that Panal may turn. They are the machine's: whoever writes keeps the former ones.
struct KsmSettings {
  KsmRun run = KsmRun::kStopped;
  std::uint32_t pages_to_scan = 100;     ///< a batch; the kernel sets it itself with an advisor
  std::uint32_t sleep_ms = 20;           ///< between batches
  bool use_zero_pages = false;           ///< pages of zeros become the kernel's zero page
  bool smart_scan = true;                ///< skip pages that never merged
  std::uint32_t max_page_sharing = 256;  ///< mappings of one merged page; changed only when stopped
                                         ///< with nothing merged
  KsmAdvisor advisor = KsmAdvisor::kNone;

  [[nodiscard]] bool operator==(const KsmSettings&) const = default;
};

/// What KSM has and did. Counts are pages; `*_total` count since boot.
struct KsmCounters {
  std::uint64_t pages_shared = 0;    ///< merged pages that exist
  std::uint64_t pages_sharing = 0;   ///< mappings they replace (beyond the first): what is saved
  std::uint64_t pages_unshared = 0;  ///< looked at, found unique, looked at again
  std::uint64_t pages_volatile = 0;  ///< change too fast
  std::uint64_t pages_skipped_total = 0;  ///< by smart scan
  std::uint64_t pages_scanned_total = 0;
  std::uint64_t full_scans_total = 0;     ///< passes over all enlisted memory
  std::uint64_t zero_pages = 0;           ///< mappings of the zero page made by use_zero_pages
  std::int64_t general_profit_bytes = 0;  ///< saved less KSM's own memory; may be negative
  /// CPU time of ksmd since boot; absent where ksmd cannot be seen (another pid namespace).
  std::optional<std::uint64_t> ksmd_cpu_ns;

  [[nodiscard]] bool operator==(const KsmCounters&) const = default;
};

/// One process's share in it, or the sum of several.
struct KsmProcess {
  std::uint64_t rmap_items = 0;  ///< pages KSM keeps book of, 64 bytes each
  std::uint64_t merging_pages = 0;
  std::uint64_t zero_pages = 0;
  std::int64_t profit_bytes = 0;  ///< saved less the book-keeping; negative: it loses
  bool merge_any = false;         ///< enlisted as a whole (prctl); sum: any of them

  [[nodiscard]] bool operator==(const KsmProcess&) const = default;
};

}  // namespace panal
