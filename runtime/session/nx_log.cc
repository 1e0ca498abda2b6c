#include "runtime/session/nx_log.h"

#include <array>

namespace panal::session {
namespace {

struct Prefix {
  std::string_view text;
  NxEvent event;
};
// "Session: Session started at 'Mon Nov 23 19:33:09 2026'.": the text is the same in every locale.
constexpr std::array kPrefixes = {
    Prefix{"Info: Waiting for connection ", NxEvent::kWaiting},
    Prefix{"Session: Session started at ", NxEvent::kStarted},
    Prefix{"Session: Suspending session at ", NxEvent::kSuspending},
    Prefix{"Session: Session suspended at ", NxEvent::kSuspended},
    Prefix{"Session: Resuming session at ", NxEvent::kResuming},
    Prefix{"Session: Session resumed at ", NxEvent::kResumed},
    Prefix{"Session: Terminating session at ", NxEvent::kTerminating},
    Prefix{"Session: Aborting session at ", NxEvent::kTerminating},
    Prefix{"Session: Session terminated at ", NxEvent::kTerminating},
};

}  // namespace

std::optional<NxEvent> parse_nx_log(std::string_view line) {
  for (const auto& prefix : kPrefixes) {
    if (line.substr(0, prefix.text.size()) == prefix.text) return prefix.event;
  }
  return std::nullopt;
}

}  // namespace panal::session
