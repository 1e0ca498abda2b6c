#pragma once

#include <nlohmann/json_fwd.hpp>

#include "bench/density/host_watch.h"
#include "bench/density/sampler.h"
#include "engine/base/result.h"

namespace panal::bench {

/// How long a number of desktops is held, and how much of that counts: design section 7 asks for
/// the last five of ten minutes.
struct HoldWindow {
  unsigned seconds = 600;
  unsigned counted_seconds = 300;  ///< the last ones

  [[nodiscard]] bool operator==(const HoldWindow&) const = default;
};

/// `counted` 0: the half, rounded up. A second at least, and never more than all of it.
[[nodiscard]] HoldWindow hold_window(unsigned seconds, unsigned counted);

/// What was seen while N desktops were held: what counts, and what came before it, in which the
/// optimiser takes back what it can.
struct Held {
  /// Medians of a sample each second, bytes.
  double available = 0, load = 0, lab = 0, charge = 0, anon = 0;
  double available_drift = 0;  ///< bytes a second: how far from rest it still was
  double load_swap = 0;        ///< of the load generator, at the end, before compression
  double desktop_cores = 0, monitor_cores = 0, load_cores = 0;
  Census begin, counted, end;  ///< the last with memory
  HostMoment host_counted, host_end;
  double taking_seconds = 0;  ///< before what counts
  double seconds = 0;         ///< of what counts
};

/// Waits, then samples. Errors: those of Sampler.
[[nodiscard]] Result<Held> hold(const Sampler& sampler, const HostWatch& host,
                                const HoldWindow& window);

/// Names: count; medians over what counts: mem_available_mib, load_mib (the load generator's),
/// lab_mib, desktops_charge_mib, desktops_anon_mib; mem_available_drift_mib_per_minute;
/// load_swapped_mib, load_cpu_percent; taking_seconds, held_seconds; host: see host_watch.h;
/// cpu_ppm_per_desktop by part; of panald and all its helpers panald_cpu_percent (of one core) and
/// panald_pss_mib, by part in panald_parts, and panald_taking_cpu_percent before what counts;
/// pss_mib and processes by program of helpers and load; programs of desktops.
[[nodiscard]] nlohmann::json describe(const Held& held, std::size_t count);

/// Slopes over the steps whose "kind" is "target", MiB for each further desktop.
[[nodiscard]] nlohmann::json slopes(const nlohmann::json& steps);

}  // namespace panal::bench
