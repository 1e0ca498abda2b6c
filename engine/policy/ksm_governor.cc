#include "engine/policy/ksm_governor.h"

#include <algorithm>
#include <cmath>

#include "engine/policy/units.h"

namespace panal::policy {
namespace {

/// How long a merged page stays merged. Unknown in general; ten minutes is a coffee break, and
/// what is idle for longer is paged out anyway.
constexpr double kSavingLifetimeSeconds = 600;
/// With less than a tenth of the memory available a byte is worth four times as much.
constexpr double kShortMemoryShare = 0.10;
constexpr double kShortMemoryPrice = 0.25;
/// A write to a merged page: a fault and a copy of 4 KiB. An order of magnitude, not measured.
constexpr double kCowSeconds = 3e-6;
/// ksmd reads a page in about a microsecond; learned values outside of this are an error of
/// measurement (ticks of 10 ms).
constexpr double kPageSecondsLow = 1e-7;
constexpr double kPageSecondsHigh = 2e-5;
constexpr std::uint64_t kPagesToLearnFrom = 20'000;
/// Part of new memory that merges, until it was seen (XFCE with ASLR, 20 desktops: a third).
constexpr double kFirstYield = 0.3;
constexpr double kLeastYield = 0.05;
/// A page is merged when it did not change from one pass to the next: two whole passes. The one
/// that runs when the memory comes may have gone by it.
constexpr unsigned kPassesAfterGrowth = 3;
constexpr unsigned kPassesOfAProbe = 2;
/// After a start a desktop writes its pages for some seconds more.
constexpr MonotonicNs kSettle = 10 * kSecond;
/// Share of the cap while desktops start: they need the CPU, their pages still change, and smart
/// scan would then skip what it has seen changing for up to eight passes.
constexpr double kStormShare = 0.01;
/// Starts that never cease must not keep bursts away.
constexpr MonotonicNs kLongestStorm = 60 * kSecond;
constexpr double kFollowFrom = 1.0 / 8;
constexpr MonotonicNs kFollowWindow = 5 * kSecond;
constexpr MonotonicNs kRestWindow = 60 * kSecond;
/// Looking for what nobody announced may cost this share of a core; an eighth if it finds nothing.
constexpr double kProbeShare = 0.01;
constexpr double kProbeShareLow = kProbeShare / 8;
/// Batches: long enough that waking ksmd costs nothing, short enough not to hold a core for long.
constexpr double kShortPeriodSeconds = 0.02;
constexpr double kLongPeriodSeconds = 1;
constexpr double kPagesPerBatch = 2000;

bool is_short(const KsmSample& now) {
  return real(now.memory_available_bytes) < kShortMemoryShare * real(now.memory_total_bytes);
}

}  // namespace

KsmSample ksm_sample_of(const Snapshot& snapshot) {
  KsmSample sample;
  sample.at_ns = snapshot.at_ns;
  if (snapshot.ksm) sample.ksm = *snapshot.ksm;
  sample.cow_ksm_total = snapshot.vm.cow_ksm;
  sample.memory_total_bytes = snapshot.memory.total;
  sample.memory_available_bytes = snapshot.memory.available;
  sample.cores = std::max(1U, snapshot.cpu.cores);
  return sample;
}

double KsmGovernor::price_bytes(const KsmSample& now) {
  const double ram_per_core = real(now.memory_total_bytes) / std::max(1U, now.cores);
  const double price = ram_per_core / kSavingLifetimeSeconds;
  return is_short(now) ? price * kShortMemoryPrice : price;
}

double KsmGovernor::cap_cores(const KsmSample& now) const {
  return config_.cap_cores > 0 ? config_.cap_cores : 0.25 * std::max(1U, now.cores);
}

double KsmGovernor::pass_seconds(const KsmSample& now) const {
  if (pass_seconds_ > 0) return pass_seconds_;
  return real(now.enlisted_bytes) / kPageBytes * page_seconds_;
}

bool KsmGovernor::pending_pays(const KsmSample& now) const {
  const double each = real(now.enlisted_bytes) / std::max(1U, now.enlisted_desktops);
  const double started = real(grown(starts_seen_, now.enlisted_starts_total)) * each;
  const double pending = std::max(real(grown(low_bytes_, now.enlisted_bytes)), started);
  double yield = kFirstYield;
  if (pass_seconds_ > 0 && now.enlisted_bytes > 0)
    yield = static_cast<double>(now.ksm.general_profit_bytes) / real(now.enlisted_bytes);
  const double won = pending * std::max(yield, kLeastYield);
  return won > 0 && won >= price_bytes(now) * 2 * pass_seconds(now);
}

bool KsmGovernor::may_probe(const KsmSample& now) const {
  const double allowed = probe_share_ * seconds(now.at_ns - burst_end_ns_);
  return allowed >= kPassesOfAProbe * pass_seconds(now);
}

void KsmGovernor::begin(const KsmSample& now) {
  has_last_ = true;
  phase_ = KsmPhase::kRest;
  rate_ = config_.rest_pages_per_second;
  low_bytes_ = 0;  // whatever is there was never looked at
  starts_seen_ = now.enlisted_starts_total;
  last_start_ns_ = now.at_ns;  // when they started is unknown: perhaps just now
  burst_end_ns_ = now.at_ns;
  probe_share_ = kProbeShare;
  this_pass_seconds_ = 0;
  cap_trim_ = 1;
  window_ = Window{now.at_ns, 0, 0};
}

void KsmGovernor::measure(const KsmSample& now) {
  const double elapsed = seconds(now.at_ns - last_.at_ns);
  const std::uint64_t scanned = grown(last_.ksm.pages_scanned_total, now.ksm.pages_scanned_total);
  double cpu = real(scanned) * page_seconds_;
  if (now.ksm.ksmd_cpu_ns && last_.ksm.ksmd_cpu_ns) {
    cpu = real(grown(*last_.ksm.ksmd_cpu_ns, *now.ksm.ksmd_cpu_ns)) / 1e9;
    if (scanned >= kPagesToLearnFrom) {
      const double seen = std::clamp(cpu / real(scanned), kPageSecondsLow, kPageSecondsHigh);
      page_seconds_ += 0.3 * (seen - page_seconds_);
    }
  }
  if (elapsed > 0) {
    // ticks of 10 ms let one second look dearer than it was; hence the small steps back
    const double used = cpu / elapsed;
    const double cap = cap_cores(now);
    cap_trim_ =
        used > 1.05 * cap ? std::max(0.1, cap_trim_ * cap / used) : std::min(1.0, cap_trim_ * 1.05);
  }
  passes_ = grown(last_.ksm.full_scans_total, now.ksm.full_scans_total);
  this_pass_seconds_ += cpu;
  if (passes_ > 0) {
    pass_seconds_ = this_pass_seconds_ / real(passes_);
    this_pass_seconds_ = 0;
  }
  const double cow = real(grown(last_.cow_ksm_total, now.cow_ksm_total)) * kCowSeconds;
  const auto gain = static_cast<double>(now.ksm.general_profit_bytes) -
                    static_cast<double>(last_.ksm.general_profit_bytes);
  for (Window* window : {&window_, &burst_}) {
    window->gain_bytes += gain;
    window->cpu_seconds += cpu + cow;
  }
  if (now.enlisted_starts_total > last_.enlisted_starts_total) last_start_ns_ = now.at_ns;
  low_bytes_ = std::min(low_bytes_, now.enlisted_bytes);
  burst_low_bytes_ = std::min(burst_low_bytes_, now.enlisted_bytes);
}

void KsmGovernor::start_burst(const KsmSample& now, KsmPhase phase, unsigned passes) {
  phase_ = phase;
  passes_owed_ = passes;
  burst_low_bytes_ = now.enlisted_bytes;
  burst_starts_ = now.enlisted_starts_total;
  burst_ = Window{now.at_ns, 0, 0};
}

void KsmGovernor::end_burst(const KsmSample& now) {
  const bool paid = burst_.gain_bytes >= price_bytes(now) * burst_.cpu_seconds;
  if (phase_ == KsmPhase::kProbe)
    probe_share_ = paid ? kProbeShare : std::max(kProbeShareLow, probe_share_ / 2);
  else
    probe_share_ = kProbeShare;
  // New memory that did not merge yet may still be settling; a probe that won nothing is over.
  const bool follow = paid || phase_ == KsmPhase::kBurst;
  burst_end_ns_ = now.at_ns;
  low_bytes_ = burst_low_bytes_;  // a burst that a storm broke off leaves all of it pending
  starts_seen_ = burst_starts_;
  // The passes are made: from here on a look at a fraction of the rate tells whether more pays.
  phase_ = follow ? KsmPhase::kFollow : KsmPhase::kRest;
  rate_ = follow ? rate_ * kFollowFrom : config_.rest_pages_per_second;
  window_ = Window{now.at_ns, 0, 0};
}

void KsmGovernor::choose_phase(const KsmSample& now) {
  const bool pays = pending_pays(now);
  if (pays && now.at_ns - last_start_ns_ < kSettle && phase_ != KsmPhase::kStorm) {
    phase_ = KsmPhase::kStorm;
    storm_begin_ns_ = now.at_ns;
  }
  if (phase_ == KsmPhase::kStorm) {
    if (now.at_ns - last_start_ns_ < kSettle && now.at_ns - storm_begin_ns_ < kLongestStorm) return;
    start_burst(now, KsmPhase::kBurst, kPassesAfterGrowth);
    return;
  }
  if ((phase_ == KsmPhase::kBurst || phase_ == KsmPhase::kProbe) && passes_ > 0) {
    passes_owed_ -= static_cast<unsigned>(std::min<std::uint64_t>(passes_owed_, passes_));
    if (passes_owed_ == 0) end_burst(now);
  }
  if (phase_ == KsmPhase::kBurst) return;  // what grows meanwhile is judged at its end
  if (pending_pays(now))
    start_burst(now, KsmPhase::kBurst, kPassesAfterGrowth);
  else if (phase_ == KsmPhase::kRest && may_probe(now))
    start_burst(now, KsmPhase::kProbe, kPassesOfAProbe);
}

void KsmGovernor::choose_rate(const KsmSample& now) {
  const double cap = cap_trim_ * cap_cores(now) / page_seconds_;
  const double rest = std::min(config_.rest_pages_per_second, cap);
  switch (phase_) {
    case KsmPhase::kOff: rate_ = 0; return;
    case KsmPhase::kStorm: rate_ = is_short(now) ? cap : cap * kStormShare; return;
    case KsmPhase::kBurst:
    case KsmPhase::kProbe: rate_ = cap; return;
    case KsmPhase::kFollow:
    case KsmPhase::kRest: break;
  }
  const MonotonicNs length = phase_ == KsmPhase::kRest ? kRestWindow : kFollowWindow;
  if (now.at_ns - window_.begin_ns >= length) {
    const bool pays =
        window_.gain_bytes > 0 && window_.gain_bytes >= price_bytes(now) * window_.cpu_seconds;
    rate_ *= pays ? 2 : 0.5;
    window_ = Window{now.at_ns, 0, 0};
    phase_ = rate_ <= rest ? KsmPhase::kRest : KsmPhase::kFollow;
  }
  rate_ = std::clamp(rate_, rest, cap);
}

KsmDecision KsmGovernor::batch(const KsmSample& now) const {
  KsmDecision decision{true, 1, 1, phase_};
  const double period = std::clamp(kPagesPerBatch / rate_, kShortPeriodSeconds, kLongPeriodSeconds);
  const double pages = std::max(1.0, std::floor(rate_ * period));
  const double busy = pages * page_seconds_;
  // However dear a page is, ksmd sleeps long enough for the cap.
  const double least = busy * (1 / std::min(0.99, cap_cores(now)) - 1);
  const double sleep = std::max({period - busy, least, 0.001});
  decision.pages_to_scan = static_cast<std::uint32_t>(std::min(pages, 1e6));
  decision.sleep_ms = static_cast<std::uint32_t>(std::ceil(std::min(sleep, 10.0) * 1000));
  return decision;
}

KsmDecision KsmGovernor::decide(const KsmSample& now) {
  if (now.enlisted_desktops == 0) {
    has_last_ = false;
    phase_ = KsmPhase::kOff;
    pass_seconds_ = 0;
    return {};
  }
  if (!has_last_) {
    begin(now);
    passes_ = 0;
  } else {
    measure(now);
  }
  last_ = now;
  choose_phase(now);
  choose_rate(now);
  return batch(now);
}

}  // namespace panal::policy
