#pragma once

#include <sys/types.h>

#include <optional>
#include <string_view>

namespace panal::session {

/// What a line of nxagent's log (3.5.99) tells about its session.
enum class NxEvent {
  kWaiting,  ///< the NX socket is there and nxagent waits for a proxy
  kStarted,  ///< first attach done: RUNNING
  kSuspending,
  kSuspended,
  kResuming,  ///< after HUP; the socket is not there yet
  kResumed,   ///< RUNNING again
  kTerminating,
};

/// Nothing for the many lines that say nothing about the state. The log is the whole source: it
/// arrives through a pipe the moment a state changes, where the `state=` file would have to be
/// polled and goes stale when nxagent is killed.
[[nodiscard]] std::optional<NxEvent> parse_nx_log(std::string_view line);

/// The process that goes on as nxagent after a resume, as guard/resume_guard.cc says it.
[[nodiscard]] std::optional<pid_t> parse_heir(std::string_view line);

}  // namespace panal::session
