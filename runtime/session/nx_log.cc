#include "runtime/session/nx_log.h"

#include <array>
#include <charconv>

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

std::optional<pid_t> parse_heir(std::string_view line) {
  constexpr std::string_view kPrefix = "panal: nxagent goes on as ";
  if (line.substr(0, kPrefix.size()) != kPrefix) return std::nullopt;
  line.remove_prefix(kPrefix.size());
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), pid);
  if (error != std::errc{} || end != line.data() + line.size() || pid <= 1) return std::nullopt;
  return pid;
}

}  // namespace panal::session
