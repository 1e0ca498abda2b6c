#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/model/snapshot.h"
#include "runtime/store/store.h"

namespace panal::node {

/// What this node's desktops want of one version.
struct WarmDemand {
  std::string image, version;
  std::uint32_t running = 0;
  std::uint32_t wanting = 0;  ///< start, or wait to
  bool is_default = false;    ///< what the next start of its image takes

  [[nodiscard]] bool operator==(const WarmDemand&) const = default;
};

/// From the node's rows, and each image's default version: only of images that this node has
/// desktops of. By image and version.
[[nodiscard]] std::vector<WarmDemand> warm_demands(
    const std::vector<const store::Desktop*>& rows,
    const std::map<std::string, std::string>& defaults);

/// One version of this node's disk, and what was done about its pages.
struct WarmVersion {
  WarmDemand demand;
  /// Of its own record of hot pages: HotPages::generation.
  std::optional<std::uint32_t> record;
  /// Of the newest record of another version of its image.
  std::optional<std::uint32_t> other_record;
  bool cooled = false;                   ///< since this panald began
  bool settled = false;                  ///< a desktop that started since then has come up
  bool failed = false;                   ///< what was tried last did not work
  std::uint64_t hot_bytes = 0;           ///< of the last touch
  std::optional<MonotonicNs> looked_ns;  ///< end of the last touch, or of what failed
  std::chrono::seconds pause{60};        ///< until the next one

  /// Whose pages are touched: its own record's, or another's that is not too far from a cold start.
  [[nodiscard]] bool has_own() const { return record.has_value(); }
  [[nodiscard]] bool has_other() const {
    return !record && other_record && *other_record < kMostGenerations;
  }

  /// A record made while the former one's pages were warm holds what nobody uses any more, too: of
  /// so many versions one is recorded from a cold start.
  static constexpr std::uint32_t kMostGenerations = 4;
  /// So many starts at once are a storm.
  static constexpr std::uint32_t kStorm = 4;
};

enum class WarmAct : std::uint8_t { kTouch, kRecord, kCool };
[[nodiscard]] std::string_view to_string(WarmAct act);

struct WarmJob {
  WarmAct act = WarmAct::kTouch;
  std::size_t index = 0;               ///< of the version
  bool other = false;                  ///< kTouch: another version's record is taken
  std::uint64_t most_bytes = 0;        ///< kTouch, kRecord
  std::uint64_t bytes_per_second = 0;  ///< kTouch; 0: as fast as it goes
  std::chrono::seconds most{60};
  std::uint32_t generation = 0;  ///< kRecord

  [[nodiscard]] bool operator==(const WarmJob&) const = default;
};

/// What to do next; nothing: wait. `budget_bytes`: of all versions together (storage::warm_budget);
/// `most_bytes`: of one record. In this order: record what has just come up (only then can it be
/// seen), touch what a storm of starts will need, touch what was not touched yet, let the cache of
/// one that is to be recorded go, touch again what may have been evicted, slowly. A version without
/// a record is cooled, touched by another's record where there is one, and recorded once a desktop
/// of it has come up.
[[nodiscard]] std::optional<WarmJob> next_warm_job(std::span<const WarmVersion> versions,
                                                   std::uint64_t budget_bytes,
                                                   std::uint64_t most_bytes, MonotonicNs now_ns);

/// When a version is looked at again, given what the last touch had to read: soon while its pages
/// are being evicted, else ever later.
[[nodiscard]] std::chrono::seconds next_warm_pause(std::chrono::seconds last,
                                                   std::uint64_t hot_bytes,
                                                   std::uint64_t read_bytes);

}  // namespace panal::node
