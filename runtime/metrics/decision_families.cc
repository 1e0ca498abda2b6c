// What the optimiser decided, did, and refused to do.
#include "engine/model/decision.h"
#include "runtime/metrics/book.h"
#include "runtime/metrics/figures.h"
#include "runtime/optimiser/session_class.h"

namespace panal::metrics {
namespace {

using optimiser::index_of;
using optimiser::Tally;
using optimiser::to_string;

constexpr SessionClass kClasses[] = {SessionClass::kActive, SessionClass::kIdle,
                                     SessionClass::kDisconnected, SessionClass::kFrozen};

constexpr std::string_view kVerdicts[] = {
    "taken",    "active",       "at_floor",   "too_soon",  "waits_for_ksm", "pressure", "refaults",
    "no_yield", "no_swap_room", "not_needed", "next_time", "long_away",     "quiet"};

constexpr KsmPhase kPhases[] = {KsmPhase::kOff,   KsmPhase::kStorm,  KsmPhase::kBurst,
                                KsmPhase::kProbe, KsmPhase::kFollow, KsmPhase::kRest};

double real(std::uint64_t value) { return static_cast<double>(value); }

void write_shaver(Book& book, const Tally& tally) {
  book.counter("panal_shaver_verdicts_total",
               "Verdicts on desktops, one each a round: taken, or why nothing is.")
      .add("verdict", kVerdicts, tally.verdicts);
  book.counter("panal_shaver_steps_total", "Steps of taking memory back that were carried out.")
      .add(real(tally.takes));
  book.counter("panal_shaver_dropped_steps_total", "Steps decided and then not carried out.")
      .add("reason", optimiser::kStepsDropped, tally.steps_dropped);
  book.counter("panal_shaver_asked_bytes_total", "What the steps were to take.")
      .add(real(tally.asked_bytes));
  book.counter("panal_shaver_taken_bytes_total",
               "What came back, by the desktops' charge before and after.")
      .add(real(tally.taken_bytes));
  book.counter("panal_shaver_cpu_seconds_total", "CPU time of the steps.")
      .add(seconds(tally.take_cpu_ns));
  book.counter("panal_shaver_cooled_total",
               "Desktops whose memory was marked as the first to go, before it was short.")
      .add(real(tally.cools));
  book.counter("panal_shaver_cool_cpu_seconds_total", "CPU time of marking it.")
      .add(seconds(tally.cool_cpu_ns));
  book.counter("panal_shaver_dropped_bytes_total",
               "Memory freed that was on a swap device already, apart from steps.")
      .add(real(tally.dropped_bytes));
  book.counter("panal_shaver_drop_cpu_seconds_total", "CPU time of that.")
      .add(seconds(tally.drop_cpu_ns));
  book.counter("panal_shaver_monitors_total",
               "Monitors of desktops' containers that were paged out, once each.")
      .add(real(tally.monitors));
  book.counter("panal_shaver_monitor_bytes_total", "What that brought.")
      .add(real(tally.monitor_bytes));
  book.counter("panal_shaver_refaulted_pages_total",
               "Pages that desktops fetched back between a step and their user's return.")
      .add(real(tally.refaulted_pages));
}

void write_io(Book& book, const Tally& tally) {
  book.counter("panal_io_read_bytes_total", "What desktops read from disks, as of the last looks.")
      .add(real(tally.io_read_bytes));
  book.counter("panal_io_written_bytes_total",
               "What they wrote; cgroup v1 does not see what the page cache writes back.")
      .add(real(tally.io_written_bytes));
  book.counter("panal_io_operations_total", "Operations on disks that it took.")
      .add(real(tally.io_reads), {{"operation", "read"}})
      .add(real(tally.io_writes), {{"operation", "write"}});
}

void write_freezer(Book& book, const Tally& tally) {
  book.counter("panal_freezer_freezes_total", "Freezes begun.").add(real(tally.freezes));
  book.counter("panal_freezer_refused_total", "Freezes decided and not carried out.")
      .add("reason", optimiser::kFreezeRefusals, tally.freezes_refused);
  book.counter("panal_freezer_thaws_total", "Thaws, for whatever reason.").add(real(tally.thaws));
  book.histogram("panal_freezer_freeze_seconds", "Until all of a desktop's processes stood.")
      .add(tally.freezing);
  book.histogram("panal_freezer_thaw_seconds", "The call that thaws a desktop.").add(tally.thawing);
}

void write_wakes(Book& book, const Tally& tally) {
  book.counter("panal_wake_wakes_total",
               "Users let in to desktops of which something was taken or swapped out.")
      .add(real(tally.wakes));
  book.counter("panal_wake_at_once_total", "Users let in to desktops that were all in memory.")
      .add(real(tally.wakes_at_once));
  book.histogram("panal_wake_duration_seconds",
                 "From the wish to get in until the link may go on; without those at once.")
      .add(tally.waking);
  book.counter("panal_wake_by_record_total",
               "Those of them whose memory was fetched by what was recorded of an earlier return.")
      .add(real(tally.wakes_by_ranges));
  book.counter("panal_wake_records_total", "Times what a user's return touched was recorded.")
      .add(real(tally.records));
  book.counter("panal_wake_fetched_bytes_total", "Address space asked back for users who return.")
      .add(real(tally.fetched_bytes));
  book.counter("panal_wake_cpu_seconds_total", "CPU time of fetching it.")
      .add(seconds(tally.fetch_cpu_ns));
}

void write_classes(Book& book, const optimiser::Figures& figures) {
  const Tally& tally = figures.tally;
  Family classes = book.gauge("panal_class_desktops", "Desktops that run, by class.");
  for (const SessionClass session : kClasses)
    classes.add(real(figures.desktops[index_of(session)]),
                {{"class", std::string(to_string(session))}});
  Family changes =
      book.counter("panal_class_changes_total", "Desktops that went from one class to another.");
  for (const SessionClass from : kClasses)
    for (const SessionClass to : kClasses)
      if (from != to)
        changes.add(real(tally.class_changes[index_of(from)][index_of(to)]),
                    {{"from", std::string(to_string(from))}, {"to", std::string(to_string(to))}});
  Family limits = book.counter("panal_class_limits_set_total",
                               "Times a desktop was given the limits (CPU, memory) of a class.");
  for (const SessionClass session : kClasses)
    limits.add(real(tally.limits_set[index_of(session)]),
               {{"class", std::string(to_string(session))}});
}

/// What is set, not what ksmd manages: a batch takes time of its own.
double pages_per_second(const KsmDecision& decision) {
  if (!decision.run || decision.sleep_ms == 0) return 0;
  return 1000.0 * decision.pages_to_scan / decision.sleep_ms;
}

}  // namespace

void write_decisions(Book& book, const optimiser::Figures& figures) {
  const Tally& tally = figures.tally;
  write_shaver(book, tally);
  write_io(book, tally);
  write_freezer(book, tally);
  write_wakes(book, tally);
  write_classes(book, figures);
  book.counter("panal_optimiser_looks_total", "Times the host was looked at; one a second.")
      .add(real(tally.looks));
  book.counter("panal_optimiser_look_cpu_seconds_total", "CPU time of looking and deciding.")
      .add(seconds(tally.look_cpu_ns));
  book.counter("panal_optimiser_errors_total", "What the kernel refused, by step; see the log.")
      .add("step", optimiser::kErrorSteps, tally.errors_by_step);
}

void write_ksm(Book& book, const optimiser::Figures& all) {
  book.gauge("panal_ksm_enlisted_desktops", "Desktops that offer their memory to KSM.")
      .add(real(all.enlisted));
  book.counter("panal_ksm_enlistments_total", "Starts that were given a place in KSM.")
      .add(real(all.tally.enlisted));
  book.counter("panal_ksm_enlistments_refused_total", "Starts that were given none, by reason.")
      .add("reason", optimiser::kEnlistRefusals, all.tally.enlist_refused);
  book.counter("panal_ksm_domain_changes_total", "Times another merge domain was given the place.")
      .add(real(all.tally.domain_changes));
  const std::string_view domain = all.domain_drains ? "draining"
                                  : all.domain_held ? "held"
                                                    : "free";
  Family places = book.gauge("panal_ksm_domain_state", "1 for what the place in KSM is.");
  for (const std::string_view state : {"free", "held", "draining"})
    places.add(state == domain ? 1 : 0, {{"state", std::string(state)}});
  book.gauge("panal_ksm_left_out_programs",
             "Programs that stay out of merging at their next start.")
      .add(real(all.programs.left_out));
  book.counter("panal_ksm_program_verdicts_total", "Programs left out and taken back, as learnt.")
      .add("verdict", optimiser::kProgramVerdicts, all.programs.verdicts);
  book.counter("panal_ksm_setting_changes_total",
               "Decisions of the governor that differ from the one before.")
      .add(real(all.tally.ksm_changes));
  book.gauge("panal_ksm_taken_over_state",
             "1 while somebody else has KSM's settings; nobody is enlisted then.")
      .add(all.ksm_taken_over ? 1 : 0);
  if (all.governs_ksm) {
    Family phases = book.gauge("panal_ksm_governor_state", "1 for the phase the governor is in.");
    for (const KsmPhase phase : kPhases)
      phases.add(phase == all.ksm.phase ? 1 : 0, {{"phase", std::string(to_string(phase))}});
    book.gauge("panal_ksm_setting_pages_per_second", "The rate it has set for ksmd; 0: stopped.")
        .add(pages_per_second(all.ksm));
  }
  if (!all.host.ksm) return;
  const KsmCounters& ksm = *all.host.ksm;
  book.gauge("panal_ksm_profit_bytes", "Saved, less KSM's own memory; may be negative.")
      .add(static_cast<double>(ksm.general_profit_bytes));
  book.gauge("panal_ksm_sharing_pages", "Mappings that merged pages replace.")
      .add(real(ksm.pages_sharing));
  book.counter("panal_ksm_scanned_pages_total", "Pages that ksmd looked at, since boot.")
      .add(real(ksm.pages_scanned_total));
  book.counter("panal_ksm_full_scans_total", "Its passes over all enlisted memory, since boot.")
      .add(real(ksm.full_scans_total));
  book.counter("panal_ksm_cow_faults_total", "Writes that broke a merged page, since boot.")
      .add(real(all.host.vm.cow_ksm));
  if (ksm.ksmd_cpu_ns)
    book.counter("panal_ksm_cpu_seconds_total", "CPU time of ksmd, since boot.")
        .add(seconds(*ksm.ksmd_cpu_ns));
}

}  // namespace panal::metrics
