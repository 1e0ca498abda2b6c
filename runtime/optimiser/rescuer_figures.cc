#include "runtime/optimiser/rescuer.h"

namespace panal::optimiser {

ResortFigures Rescuer::figures() const {
  const std::lock_guard lock(mutex_);
  ResortFigures out;
  out.danger = sight_.danger;
  out.closed = closed_.has_value();
  out.available_bytes = sight_.room.available_bytes;
  out.reserve_bytes = sight_.room.reserve_bytes;
  out.fenced = fenced_;
  out.fences = totals_.fences;
  out.steps = totals_.steps;
  out.killed_processes = totals_.killed_processes;
  out.killed_desktops = totals_.killed_desktops;
  out.looks = totals_.looks;
  out.look_cpu_ns = totals_.cpu_ns;
  out.events = totals_.events;
  out.errors = totals_.errors;
  return out;
}

}  // namespace panal::optimiser
