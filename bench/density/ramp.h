#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace panal::bench {

/// How many desktops are brought up, and in which steps.
struct RampPlan {
  std::size_t target = 0;
  std::size_t steps = 1;  ///< to the target, equal ones; 1 to `target`
  std::size_t aim = 0;    ///< beyond the target; nothing is added where it is not above it
  std::size_t lot = 1;    ///< how many at a time, beyond
};

enum class StepKind {
  kTarget,  ///< on the way to the target, and the target itself; held for long
  kBeyond,  ///< past it; held for a minute
  kLast,    ///< the largest number that held its minute, held for long
  kBack,    ///< back to the largest number that held, as that was not the last; not held
};
[[nodiscard]] const char* to_string(StepKind kind);

/// Bring up, or take down to, so many; then hold them.
struct Step {
  StepKind kind = StepKind::kTarget;
  std::size_t count = 0;

  [[nodiscard]] bool operator==(const Step&) const = default;
};

/// What was seen in a step.
struct StepSeen {
  std::size_t count = 0;      ///< that were up
  std::string short_of = {};  ///< why fewer are up than were asked for; empty: all are
  bool typed = false;         ///< somebody typed; the next three count only then
  std::size_t keys = 0;       ///< that were painted
  std::size_t lost = 0;       ///< that were not
  double p99_ms = 0;          ///< from key to paint
  std::uint64_t killed = 0;   ///< processes and desktops that were killed for want of memory
};

/// The longest 99th percentile of key to paint of a number that holds, ms.
inline constexpr double kLongestKeyMs = 100;

/// Why so many do not hold, in words; nothing: they do.
[[nodiscard]] std::optional<std::string> why_not(const StepSeen& seen);

/// Decides how many are brought up next. To the target whatever the keys say, as the target is what
/// is asked about, unless starts come to an end; beyond it until one thing goes wrong; then back to
/// the largest number that held a minute, which must hold for long to count.
class Ramp {
 public:
  explicit Ramp(const RampPlan& plan) : plan_(plan) {}

  /// The next step; nothing at the end.
  [[nodiscard]] std::optional<Step> next() const;
  /// What became of next().
  void saw(const StepSeen& seen);
  /// No more are added beyond the target.
  void out_of_time();

  /// The largest number that was held for long; 0: none was.
  [[nodiscard]] std::size_t holds() const { return holds_; }
  /// Why no more were tried, in words.
  [[nodiscard]] const std::string& ended() const { return ended_; }

 private:
  enum class Phase { kTarget, kBeyond, kLast, kBack, kEnd };
  void leave_target(const StepSeen& seen, bool held);
  void leave_beyond(std::string why);

  RampPlan plan_;
  Phase phase_ = Phase::kTarget;
  std::size_t step_ = 1;       ///< of the way to the target
  std::size_t up_ = 0;         ///< desktops
  std::size_t candidate_ = 0;  ///< the largest number that held a minute, beyond
  std::size_t holds_ = 0;
  bool tried_last_ = false;  ///< a number beyond the target did not hold for long
  std::string ended_;
};

}  // namespace panal::bench
