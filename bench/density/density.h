#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "bench/density/figure.h"
#include "bench/density/hold.h"
#include "bench/density/mix.h"
#include "engine/base/result.h"

namespace panal::bench {

struct DensityOptions {
  std::string image = "icewm";
  std::size_t count = 5;
  /// In how many lots they are started; the slope wants five or more.
  std::size_t steps = 5;
  unsigned settle_seconds = 60;  ///< at most, before each hold
  HoldWindow hold;               ///< of each step
  /// Of the last step of the way to `count`, and of the largest number in the end.
  std::optional<HoldWindow> last_hold;
  std::map<std::size_t, HoldWindow> hold_at;  ///< of steps with so many desktops, instead
  /// Where `count` holds, further lots are added until one does not or so many are up; 0: none.
  std::size_t beyond = 0;
  std::size_t beyond_lot = 0;  ///< how many at a time; 0: an eighth of `count`
  /// Each is held so long; the last minute counts.
  unsigned beyond_hold_seconds = 60;
  /// No further lot begins so long after the beginning; the last hold and the visits come on top.
  /// 0: no bound.
  unsigned until_seconds = 0;
  bool prewarm = false;
  std::uint32_t parallel_starts = 0;
  /// A tuning profile, applied to the lab's machine before anything starts; "off": no optimiser.
  std::string profile = "off";
  Shares shares;
  /// Each desktop is started by its live client; false: all of a lot by one command.
  bool started_by_clients = true;
  bool must_answer = true;  ///< at the end, to a key; false: those that do not are only counted
  bool keep = false;        ///< afterwards wait for SIGINT with everything up
};

/// What the words image and profile of a command mean: profile "stock" is "off" with the image as
/// Debian packages it ("xfce-stock"), whose compositor leaves no CPU to answer a key with.
void choose(DensityOptions& options, const std::string& image, const std::string& profile);
/// The figure that measures the like, for the code that counts; null: there is none.
[[nodiscard]] const Figure* figure_like(const DensityOptions& options);

/// The scenario: a node, desktops started in lots by their clients; held, sampled, all looked at
/// again, stopped, and nothing left. The result names:
///   steps[]: count, kind (see StepKind), held and why_not (see ramp.h), short_of; start:
///     Lot::times() and settled_seconds; what was seen in the hold: see describe() of hold.h;
///     desktops_memory: of all of them, see host_watch.h; typing, typing_while_starting; optimiser:
///     its report; fallen: ids of those that were killed
///   slope: see slopes()
///   up: desktops in the end; holds: the largest number that was held for long; ended: why no more
///   all_connected_seconds: from the first start to the first lot's last desktop with a live client
///   visit: see visit.h; limits: see LimitWatch
///   failures: what was seen that no run may show, in words; the numbers are of no use then
///   optimiser: its report before the visits
/// Errors: those of whatever did not work.
[[nodiscard]] Result<nlohmann::json> run_density(const DensityOptions& options);

/// The error of a run that shows what none may: its first failure, or, where `all` must be, that
/// fewer than asked for are up. The whole result is said before.
[[nodiscard]] Result<void> check_sound(const nlohmann::json& result, bool all);

}  // namespace panal::bench
