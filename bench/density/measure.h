#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"

namespace panal::bench {

/// A figure's value and what it was made of (a JSON object's text).
struct Measured {
  double value = 0;
  std::string details = "{}";
  /// Other figures that the same run measured, with the same details.
  std::vector<std::pair<std::string, double>> also = {};
};

struct MeasureOptions {
  /// Of runs that add desktops beyond their target (measure_mix.cc): no further lot begins so long
  /// after the beginning. So that what follows ends within three hours: a hold of ten minutes, and
  /// the visits of all.
  unsigned until_seconds = 7800;
  /// How long each of those lots is held: memory of who does nothing is taken back within minutes,
  /// and of lots that came every two minutes nothing had been, which said little of how many hold.
  unsigned beyond_hold_seconds = 180;
};

/// Measures one figure now; inside a lab. Errors: why it could not be measured.
[[nodiscard]] Result<Measured> measure(const std::string& figure,
                                       const MeasureOptions& options = {});

/// `scripts/up` on a Debian with nothing installed; makes a lab of its own, with the host's
/// network. Errors: ENODEV when there is no such Debian and no network to make it; what scripts/up
/// said.
[[nodiscard]] Result<Measured> measure_up_first(const std::string& source,
                                                const std::string& memory);

/// What a reader of a run's details (run_density()) wants first, its steps, visit and limits.
[[nodiscard]] nlohmann::json summary(const nlohmann::json& result);
/// A run's figures, of which `figure` was asked for and the others come along.
[[nodiscard]] Result<Measured> of_one_run(const std::string& figure,
                                          std::vector<std::pair<std::string, double>> all,
                                          std::string details);

// The other figures' own ways.
[[nodiscard]] Result<Measured> measure_up_again();
[[nodiscard]] Result<Measured> measure_running_connect();
[[nodiscard]] Result<Measured> measure_cold_connect();
[[nodiscard]] Result<Measured> measure_first_pixel();
[[nodiscard]] Result<Measured> measure_agent_pss();
[[nodiscard]] Result<Measured> measure_readopt();
[[nodiscard]] Result<Measured> measure_idle_cpu(const std::string& image);
[[nodiscard]] Result<Measured> measure_density(const std::string& image, std::size_t count);
[[nodiscard]] Result<Measured> measure_dense(const std::string& image, std::size_t count);
/// Of density.*.mix.* and panald.*: one run of an image measures all of its figures.
[[nodiscard]] Result<Measured> measure_mix(const std::string& figure,
                                           const MeasureOptions& options);
[[nodiscard]] Result<Measured> measure_admission_error();
[[nodiscard]] Result<Measured> measure_hogs();
/// Of shave.*: one run measures both.
[[nodiscard]] Result<Measured> measure_shave(const std::string& figure);
/// Of the others of storage.*: one run measures all.
[[nodiscard]] Result<Measured> measure_versions(const std::string& figure);
[[nodiscard]] Result<Measured> measure_overlay_provision();
/// Of storage.faults_lost and storage.fault_points: one run.
[[nodiscard]] Result<Measured> measure_faults(const std::string& figure);
/// Of net.attacks*: one run measures both.
[[nodiscard]] Result<Measured> measure_attacks(const std::string& figure);
/// Of net.start_ratio_* and net.cost_ratio_*: a run of each number of desktops measures both.
[[nodiscard]] Result<Measured> measure_confinement(const std::string& figure);
/// Of the others of net.*, each by a run of its part alone (bench/network).
[[nodiscard]] Result<Measured> measure_network(const std::string& figure);
[[nodiscard]] Result<Measured> measure_attach(const std::string& image, std::size_t count);

}  // namespace panal::bench
