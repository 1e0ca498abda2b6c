// How near the end of memory is, and what the last resort did about it.
#include "runtime/metrics/book.h"

namespace panal::metrics {
namespace {

using policy::Danger;

constexpr std::pair<Danger, const char*> kDangers[] = {{Danger::kNone, "none"},
                                                       {Danger::kTight, "tight"},
                                                       {Danger::kStalled, "stalled"},
                                                       {Danger::kCritical, "critical"}};

double count(std::uint64_t value) { return static_cast<double>(value); }

}  // namespace

void write_last_resort(Book& book, const optimiser::ResortFigures& resort) {
  Family danger = book.gauge("panal_resort_danger_state", "1 for how near the end of memory is.");
  for (const auto& [state, word] : kDangers)
    danger.add(state == resort.danger ? 1 : 0, {{"danger", word}});
  Family admission =
      book.gauge("panal_resort_admission_state", "1 for whether desktops may start at all.");
  for (const bool closed : {false, true})
    admission.add(closed == resort.closed ? 1 : 0, {{"admission", closed ? "closed" : "open"}});
  if (resort.looks > 0) {
    book.gauge("panal_resort_available_bytes", "Memory left where the least is left.")
        .add(count(resort.available_bytes));
    book.gauge("panal_resort_reserve_bytes", "What of that is kept: below it there is danger.")
        .add(count(resort.reserve_bytes));
  }
  book.gauge("panal_resort_fenced_desktops", "Desktops held by a limit that saves the others.")
      .add(count(resort.fenced));
  book.counter("panal_resort_fences_total", "Times a desktop was held by such a limit.")
      .add(count(resort.fences));
  book.counter("panal_resort_steps_total", "Steps decided, mildest first.")
      .add("step", optimiser::kResortSteps, resort.steps);
  book.counter("panal_resort_kills_total", "What was killed to save the others.")
      .add(count(resort.killed_processes), {{"victim", "process"}})
      .add(count(resort.killed_desktops), {{"victim", "desktop"}});
  book.counter("panal_resort_stalls_total",
               "Times the kernel said at once that desktops wait for memory.")
      .add(count(resort.events));
  book.counter("panal_resort_looks_total", "Looks at what is left.").add(count(resort.looks));
  book.counter("panal_resort_look_cpu_seconds_total", "CPU time of looking and deciding.")
      .add(seconds(resort.look_cpu_ns));
  book.counter("panal_resort_errors_total", "Steps that the kernel refused; see the log.")
      .add(count(resort.errors));
}

}  // namespace panal::metrics
