#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "engine/model/session.h"

/// Plain counters of what was decided: whoever decides counts here, and nothing else; what becomes
/// of the numbers (runtime/metrics, `panal top`) is not their business. All count since this panald
/// began. No locks: each says whose lock guards it.
namespace panal::optimiser {

/// Counts by a word: a reason, a resource, a step. Words are ours, never a desktop's or a user's:
/// each is kept for good.
using Counts = std::map<std::string, std::uint64_t, std::less<>>;

/// How long things took, by upper bound.
struct Durations {
  /// Seconds, ascending. Around 100 ms they are dense: that is what a user who returns notices.
  static constexpr std::array<double, 14> kBounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                  0.15,  0.25,   0.5,   1,    2.5,   10,   60};

  void add(std::chrono::nanoseconds took) {
    const double seconds = std::chrono::duration<double>(took).count();
    const auto* bound = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
    ++counts[static_cast<std::size_t>(bound - kBounds.begin())];
    sum_seconds += seconds;
  }

  std::array<std::uint64_t, kBounds.size() + 1> counts{};  ///< the last: longer than all bounds
  double sum_seconds = 0;
};

inline constexpr std::size_t kSessionClasses = 4;
[[nodiscard]] constexpr std::size_t index_of(SessionClass session) {
  return static_cast<std::size_t>(session);
}

/// Words of `Tally`, so that what never happened can be told as 0.
/// The first: the profile enlists nobody; the second: somebody else has KSM's settings; the others
/// are of policy::MergeAnswer.
inline constexpr std::array<std::string_view, 5> kEnlistRefusals{
    "not_allowed", "taken_over", "no_consent", "other_domain", "draining"};
inline constexpr std::array<std::string_view, 3> kStepsDropped{"came_back", "class_changed",
                                                               "failed"};
inline constexpr std::array<std::string_view, 4> kFreezeRefusals{"came_back", "class_changed",
                                                                 "failed", "failed_lately"};

/// What the kernel may refuse, as the log has it.
inline constexpr std::array<std::string_view, 19> kErrorSteps{
    "cool",     "drop",         "fetch",       "freeze",       "keep_hot",
    "load_hot", "open_group",   "protect",     "read_desktop", "read_host",
    "read_io",  "record_hot",   "recover_ksm", "restore_ksm",  "set_limits",
    "take",     "take_monitor", "thaw",        "write_ksm"};
/// The shaver's verdict on one that is not of its class for long enough, so that it may not be
/// taken from yet (or at all: the profile's choice).
inline constexpr std::string_view kTooSoon = "too_soon";

/// The optimiser's; its mutex guards it.
struct Tally {
  std::uint64_t looks = 0, look_cpu_ns = 0;
  std::uint64_t takes = 0, taken_bytes = 0, take_cpu_ns = 0, asked_bytes = 0;
  std::uint64_t cools = 0, cool_cpu_ns = 0;  ///< desktops marked as the first to go
  std::uint64_t drops = 0, dropped_bytes = 0, drop_cpu_ns = 0;  ///< drop_swap_cache(), by itself
  std::uint64_t monitors = 0, monitor_bytes = 0;                ///< of desktops: taken, once each
  std::uint64_t freezes = 0, thaws = 0, wakes = 0, fetched_bytes = 0, fetch_cpu_ns = 0;
  std::uint64_t wakes_by_ranges = 0, waited_ns = 0;  ///< users, for what draws
  std::uint64_t records = 0, record_cpu_ns = 0, hot_bytes = 0, hot_ranges = 0;
  std::uint64_t errors = 0;
  Counts errors_by_step;
  Counts verdicts;                    ///< shaver's, by reason: to_string(ShaveReason), "too_soon"
  std::uint64_t refaulted_pages = 0;  ///< by desktops since something was taken from them
  Counts steps_dropped;               ///< decided, then not carried out: kStepsDropped
  Counts freezes_refused;             ///< kFreezeRefusals
  std::uint64_t wakes_at_once = 0;    ///< all was in memory
  Durations freezing, thawing;        ///< the kernel's work
  Durations waking;                   ///< from the wish until the user is let in
  std::uint64_t enlisted = 0;         ///< places in KSM given
  Counts enlist_refused;              ///< kEnlistRefusals
  std::uint64_t domain_changes = 0;   ///< the place in KSM went from one merge domain to another
  std::uint64_t ksm_changes = 0;      ///< decisions of the governor that differ from the one before
  std::array<std::array<std::uint64_t, kSessionClasses>, kSessionClasses>
      class_changes{};  ///< from, to
  /// Of desktops, from one look to the next; operations with the last two.
  std::uint64_t io_read_bytes = 0, io_written_bytes = 0, io_reads = 0, io_writes = 0;
  std::array<std::uint64_t, kSessionClasses> limits_set{};  ///< of that class, on one desktop
};

inline constexpr std::array<std::string_view, 2> kProgramVerdicts{"left_out", "taken_back"};

/// The learner's, of programs that lose by being merged; its mutex guards it.
struct ProgramTally {
  std::uint64_t rounds = 0;
  std::size_t known = 0, left_out = 0;  ///< now
  Counts verdicts;                      ///< kProgramVerdicts
};

/// What a start may wait for (`StartWait::resource`): a resource of the admission
/// (policy::ResourceKind), the disk, or one of the start gate's.
inline constexpr std::array<std::string_view, 10> kStartWaits{
    "memory", "io", "cpu", "network", "kernel", "disk", "stalls", "window", "workers", "queue"};
inline constexpr std::array<std::string_view, 3> kStartEnds{"running", "failed", "elsewhere"};

/// The starts of desktops; one thread's, the event loop's.
struct StartTally {
  std::uint64_t let_through = 0;
  Counts made_to_wait;  ///< once a start and resource, however often it asks: kStartWaits
  Counts refused;       ///< no room, however long it waits; kStartWaits
  Counts ended;         ///< kStartEnds
  Durations took;       ///< from the claim to the end, good or bad
};

}  // namespace panal::optimiser
