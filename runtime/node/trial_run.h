#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "engine/base/result.h"
#include "runtime/agent/picture.h"

namespace panal::node {

/// A throw-away desktop, as a trial uses it. Every call ends by itself, after a limit of its own.
/// Errors: why, in words for people; ECANCELED when the trial was called off.
class TrialHands {
 public:
  virtual ~TrialHands() = default;
  /// Composes and starts it, until its agent is there.
  [[nodiscard]] virtual Result<void> start() = 0;
  /// A user comes: nxagent listens, a client connects, the session's programs start.
  [[nodiscard]] virtual Result<void> show() = 0;
  /// Waits until its agent says that its windows have come to rest, and how many there are.
  [[nodiscard]] virtual Result<std::uint32_t> settle() = 0;
  /// What the user sees now.
  [[nodiscard]] virtual Result<agent::Picture> picture() = 0;
  /// Waits so long; ends early with an error when the session does, or the trial is called off.
  [[nodiscard]] virtual Result<void> wait(std::chrono::milliseconds span) = 0;
  /// Whatever happened before: nothing is left of it on return, or the error says what is.
  [[nodiscard]] virtual Result<void> end() = 0;
};

struct TrialOutcome {
  bool good = false;
  bool called_off = false;  ///< it says nothing about the version
  std::string reason;       ///< why it is not good
  std::uint32_t windows = 0;
  std::optional<agent::Picture> picture;  ///< the last that was taken
};

/// How long a settled session may take until it has painted. The agent calls it settled after 20 s
/// at the latest, which on a crowded host may be before its first window; until then nxagent's
/// screen is black.
inline constexpr std::chrono::milliseconds kPaintLimit{30000};
inline constexpr std::chrono::milliseconds kPaintPause{300};

/// Tries a version: good when its session has come to rest, has painted and lives. `say` is told
/// what is done, in words. Ends what it began.
[[nodiscard]] TrialOutcome run_trial(TrialHands& hands,
                                     const std::function<void(const std::string&)>& say);

/// Whether there is something on the screen: at least one pixel in a thousand has another colour
/// than the commonest.
[[nodiscard]] bool is_painted(const agent::Picture& picture);

}  // namespace panal::node
