#pragma once

#include <cstdint>

#include "engine/model/decision.h"
#include "engine/model/ksm.h"
#include "engine/model/snapshot.h"

namespace panal::policy {

struct KsmGovernorConfig {
  double cap_cores = 0;                 ///< most CPU of ksmd, in cores; 0: a quarter of the machine
  double rest_pages_per_second = 1000;  ///< about a thousandth of a core
};

/// What the governor looks at, once a second.
struct KsmSample {
  MonotonicNs at_ns = 0;
  KsmCounters ksm;
  std::uint64_t cow_ksm_total = 0;  ///< pages, since boot
  std::uint64_t memory_total_bytes = 0;
  std::uint64_t memory_available_bytes = 0;
  std::uint32_t cores = 1;
  std::uint32_t enlisted_desktops = 0;
  std::uint64_t enlisted_starts_total = 0;  ///< enlisted desktops started so far
  std::uint64_t enlisted_bytes = 0;  ///< their anonymous memory, merged pages counted in each
};

/// The enlisted part is the caller's to add.
[[nodiscard]] KsmSample ksm_sample_of(const Snapshot& snapshot);

/// Decides how fast ksmd scans, by what its CPU time brings.
///
/// A saved byte is worth what the machine pays for it: one core's share of RAM, kept for
/// kSavingLifetime. Scanning that brings less per CPU second (ksmd's and that of writes to merged
/// pages) slows down by half, scanning that brings more doubles. Two events need no search: new
/// memory of a start storm, and memory that grew; then, if what may be won (its bytes times the
/// part that merged so far) pays for two passes, they are made at the CPU cap.
class KsmGovernor {
 public:
  explicit KsmGovernor(KsmGovernorConfig config = {}) : config_(config) {}

  /// Call it about once a second. The time of samples must not fall.
  [[nodiscard]] KsmDecision decide(const KsmSample& now);

  /// Bytes that a CPU second must bring; lower where memory is short.
  [[nodiscard]] static double price_bytes(const KsmSample& now);

 private:
  struct Window {  ///< what was won and spent since it began
    MonotonicNs begin_ns = 0;
    double gain_bytes = 0;
    double cpu_seconds = 0;
  };

  void begin(const KsmSample& now);
  void measure(const KsmSample& now);
  void choose_phase(const KsmSample& now);
  void choose_rate(const KsmSample& now);
  void start_burst(const KsmSample& now, KsmPhase phase, unsigned passes);
  void end_burst(const KsmSample& now);
  [[nodiscard]] double cap_cores(const KsmSample& now) const;
  [[nodiscard]] double pass_seconds(const KsmSample& now) const;
  [[nodiscard]] bool pending_pays(const KsmSample& now) const;
  [[nodiscard]] bool may_probe(const KsmSample& now) const;
  [[nodiscard]] KsmDecision batch(const KsmSample& now) const;

  KsmGovernorConfig config_;
  bool has_last_ = false;
  KsmSample last_;
  KsmPhase phase_ = KsmPhase::kOff;
  double rate_ = 0;             ///< pages per second
  double page_seconds_ = 1e-6;  ///< learned CPU time per page
  double cap_trim_ = 1;         ///< below 1 where ksmd used more than it was meant to
  double pass_seconds_ = 0;     ///< CPU time of the last whole pass; 0: none seen
  double this_pass_seconds_ = 0;
  unsigned passes_owed_ = 0;
  std::uint64_t passes_ = 0;  ///< ended since the last sample
  MonotonicNs last_start_ns_ = 0;
  MonotonicNs storm_begin_ns_ = 0;
  MonotonicNs burst_end_ns_ = 0;
  std::uint64_t low_bytes_ = 0;        ///< least enlisted memory since the last whole burst
  std::uint64_t starts_seen_ = 0;      ///< by that burst
  std::uint64_t burst_low_bytes_ = 0;  ///< the same for the burst that runs
  std::uint64_t burst_starts_ = 0;
  double probe_share_ = 0;
  Window window_;  ///< of this step of following
  Window burst_;   ///< of this burst
};

}  // namespace panal::policy
