#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::bench {

struct ReconnectOptions {
  std::string image = "xfce";
  std::string profile = "dense";
  std::size_t desktops = 50;
  /// Dealt out to the desktops in turn (BenchNode::treat), so that tries of all kinds are
  /// interleaved in one run.
  std::vector<std::string> treatments = {"spared", "recorded"};
  /// Each desktop is reconnected to once a round. One more comes before them, in which panald sees
  /// what a reconnect touches.
  unsigned rounds = 2;
  unsigned away_seconds = 600;  ///< disconnected, before a measured round
  /// Whom something is taken from has this part of its PSS or less before a round begins; waited
  /// for so long at most, the time away included.
  double resident_ratio = 0.2;
  unsigned patience_seconds = 900;
};

/// The scenario: pre-warmed desktops, each visited once; then nobody is there for a while, and
/// memory is taken from all but the spared; then one user after the other comes back, is shown the
/// first picture, and leaves after some seconds. The result names:
///   resident: PSS of those taken from, before and after, and their ratio, by round
///   first_picture_ms, accepted_ms: by treatment p50, p99, max and all values
///   optimiser: panald's report at the end
/// Errors: those of whatever did not work.
[[nodiscard]] Result<nlohmann::json> run_reconnect(const ReconnectOptions& options);

/// The p99 of a treatment's first picture less that of the spared, ms. Errors: EINVAL when the run
/// had none of them.
[[nodiscard]] Result<double> added_p99_ms(const nlohmann::json& result,
                                          const std::string& treatment);

/// Whether a run says what returning costs a desktop that was taken from: before each measured
/// round everybody had come down to `resident_ratio` of its PSS, and each kind was tried
/// `least_tries` times. Errors: ENODATA, with what was missing.
[[nodiscard]] Result<void> tells_enough(const nlohmann::json& result, double resident_ratio,
                                        std::size_t least_tries);

}  // namespace panal::bench
