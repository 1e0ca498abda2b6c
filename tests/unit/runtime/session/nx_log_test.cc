#include "runtime/session/nx_log.h"

#include <gtest/gtest.h>

namespace panal::session {
namespace {

TEST(NxLog, LinesOfARealLog) {
  struct Case {
    const char* line;
    std::optional<NxEvent> event;
  };
  const Case cases[] = {
      {"Session: Starting session at 'Mon Nov 23 19:33:09 2026'.", std::nullopt},
      {"Info: Waiting for connection from this host on socket 'unix:/run/panal/nx/nx.sock'.",
       NxEvent::kWaiting},
      {"Info: Waiting the cleanup timeout to complete.", std::nullopt},
      {"Session: Session started at 'Mon Nov 23 19:33:09 2026'.", NxEvent::kStarted},
      {"Session: Suspending session at 'Mon Nov 23 19:33:13 2026'.", NxEvent::kSuspending},
      {"Session: Session suspended at 'Mon Nov 23 19:33:14 2026'.", NxEvent::kSuspended},
      {"Session: Resuming session at 'Mon Nov 23 19:33:14 2026'.", NxEvent::kResuming},
      {"Session: Session resumed at 'Mon Nov 23 19:33:14 2026'.", NxEvent::kResumed},
      {"Session: Terminating session at 'Mon Nov 23 20:58:42 2026'.", NxEvent::kTerminating},
      {"Session: Session terminated at 'Mon Nov 23 20:58:42 2026'.", NxEvent::kTerminating},
      {"Session: Display failure detected at 'Mon Nov 23 19:34:31 2026'.", std::nullopt},
      {"Error: Failure negotiating the session in stage '7'.", std::nullopt},
      {"", std::nullopt},
      {"session: Session started at", std::nullopt},
      {" Session: Session started at 'x'", std::nullopt},
  };
  for (const auto& test : cases) EXPECT_EQ(parse_nx_log(test.line), test.event) << test.line;
}

TEST(NxLog, TheHeirOfAResume) {
  EXPECT_EQ(parse_heir("panal: nxagent goes on as 4711"), 4711);
  for (const char* other :
       {"", "panal: nxagent goes on as ", "panal: nxagent goes on as 1",
        "panal: nxagent goes on as 0", "panal: nxagent goes on as -7",
        "panal: nxagent goes on as 7x", "panal: nxagent goes on as 99999999999",
        " panal: nxagent goes on as 7", "Session: Session resumed at 'Mon Nov 23 2026'."}) {
    EXPECT_FALSE(parse_heir(other)) << other;
  }
}

}  // namespace
}  // namespace panal::session
