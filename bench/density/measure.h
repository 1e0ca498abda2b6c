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

/// Measures one figure now; inside a lab. Errors: why it could not be measured.
[[nodiscard]] Result<Measured> measure(const std::string& figure);

/// `scripts/up` on a Debian with nothing installed; makes a lab of its own, with the host's
/// network. Errors: ENODEV when there is no such Debian and no network to make it; what scripts/up
/// said.
[[nodiscard]] Result<Measured> measure_up_first(const std::string& source,
                                                const std::string& memory);

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
[[nodiscard]] Result<Measured> measure_mix(const std::string& image, std::size_t count);
[[nodiscard]] Result<Measured> measure_mix_count(const std::string& image, std::size_t count,
                                                 std::size_t steps);
/// Of the figures panald.*: one run measures all.
[[nodiscard]] Result<Measured> measure_panald(const std::string& figure);
[[nodiscard]] Result<Measured> measure_admission_error();
[[nodiscard]] Result<Measured> measure_hogs();
[[nodiscard]] Result<Measured> measure_reconnect_added();
[[nodiscard]] Result<Measured> measure_resident_ratio();
[[nodiscard]] Result<Measured> measure_attach(const std::string& image, std::size_t count);

}  // namespace panal::bench
