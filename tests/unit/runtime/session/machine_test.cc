#include "runtime/session/machine.h"

#include <gtest/gtest.h>

#include <sstream>

namespace panal::session {
namespace {

constexpr Moment kNow{1000};
constexpr Moment kLater = kNow + Machine::kHupAgain;  // HUPs are obeyed by then

/// Steps as one line of words, so that a test reads like a script.
std::string words(const Steps& steps) {
  std::string out;
  for (const Step& step : steps) {
    if (!out.empty()) out += ", ";
    const std::string attach = std::to_string(step.attach);
    switch (step.action) {
      case Action::kStartNx: out += "start " + attach; break;
      case Action::kResumeNx: out += "resume " + attach; break;
      case Action::kHup: out += "hup"; break;
      case Action::kBurn: out += "burn"; break;
      case Action::kTermNx: out += "term"; break;
      case Action::kKillNx: out += "kill"; break;
      case Action::kStartPrograms: out += "programs"; break;
      case Action::kStopPrograms: out += "stop programs"; break;
      case Action::kListening: out += "listening " + attach; break;
      case Action::kRefused: out += "refused " + attach; break;
      case Action::kReport: out += std::string(agent::to_string(step.state)); break;
      case Action::kFailed: out += "failed " + step.step; break;
    }
  }
  return out;
}

struct Fixture : testing::Test {
  std::string listen(std::uint64_t attach) { return words(machine.listen(attach, now)); }
  std::string event(NxEvent what) { return words(machine.nx_event(what, now)); }
  /// nxagent runs, programs run, a link is up.
  void connect() {
    listen(1);
    event(NxEvent::kWaiting);
    event(NxEvent::kStarted);
    ASSERT_EQ(machine.state(), SessionState::kConnected);
    now = kLater;
  }
  void suspend() {
    connect();
    event(NxEvent::kSuspending);
    event(NxEvent::kSuspended);
    ASSERT_EQ(machine.state(), SessionState::kSuspended);
  }
  /// After a HUP of ours nothing more came of it.
  std::string settle() {
    now += Machine::kHupAgain;
    return words(machine.tick(now));
  }
  Machine machine;
  Moment now = kNow;
};

using Session = Fixture;

TEST_F(Session, FirstAttach) {
  EXPECT_EQ(listen(1), "start 1, starting");
  EXPECT_EQ(event(NxEvent::kWaiting), "listening 1, listening");
  EXPECT_FALSE(machine.deadline());
  EXPECT_EQ(event(NxEvent::kStarted), "connected, programs");
  EXPECT_EQ(machine.attach(), 1U);
  EXPECT_FALSE(machine.deadline()) << "a connected session must cost no wake-up";
}

TEST_F(Session, LinkLostAndResumedRunsTheSamePrograms) {
  connect();
  EXPECT_EQ(event(NxEvent::kSuspending), "suspending");
  EXPECT_EQ(event(NxEvent::kSuspended), "suspended");
  EXPECT_FALSE(machine.deadline());
  EXPECT_EQ(listen(2), "resume 2, resuming");
  EXPECT_EQ(event(NxEvent::kResuming), "");
  EXPECT_EQ(event(NxEvent::kWaiting), "listening 2, listening");
  EXPECT_EQ(event(NxEvent::kResumed), "connected");
}

TEST_F(Session, TakeOver) {
  connect();
  EXPECT_EQ(listen(2), "hup, suspending");
  EXPECT_EQ(event(NxEvent::kSuspending), "");
  EXPECT_EQ(event(NxEvent::kSuspended), "suspended");
  EXPECT_EQ(settle(), "resume 2, resuming");
  EXPECT_EQ(event(NxEvent::kWaiting), "listening 2, listening");
}

TEST_F(Session, ALinkLostWhileOurHupIsOnItsWayTurnsItIntoAResume) {
  connect();
  EXPECT_EQ(listen(2), "hup, suspending");
  EXPECT_EQ(event(NxEvent::kSuspended), "suspended");
  EXPECT_EQ(listen(3), "refused 2") << "not before it is known what the HUP has done";
  // It resumed with the old cookie: that window is burnt, the next one is the user's.
  EXPECT_EQ(event(NxEvent::kResuming), "resuming");
  EXPECT_EQ(event(NxEvent::kWaiting), "listening, burn, suspending");
  EXPECT_EQ(event(NxEvent::kSuspended), "suspended, resume 3, resuming");
  EXPECT_EQ(event(NxEvent::kWaiting), "listening 3, listening");
}

TEST_F(Session, OnlyTheNewestAttachCounts) {
  connect();
  EXPECT_EQ(listen(2), "hup, suspending");
  EXPECT_EQ(listen(3), "refused 2");
  EXPECT_EQ(event(NxEvent::kSuspended), "suspended");
  EXPECT_EQ(settle(), "resume 3, resuming");
  EXPECT_EQ(listen(4), "refused 3");
  EXPECT_EQ(event(NxEvent::kWaiting), "listening, burn, suspending");
  EXPECT_EQ(event(NxEvent::kSuspended), "suspended, resume 4, resuming");
  EXPECT_EQ(event(NxEvent::kWaiting), "listening 4, listening");
}

TEST_F(Session, AWindowWithAStaleCookieIsBurnt) {
  suspend();
  listen(2);
  event(NxEvent::kWaiting);
  EXPECT_EQ(listen(3), "burn, suspending");
  EXPECT_EQ(event(NxEvent::kSuspended), "suspended, resume 3, resuming");
}

TEST_F(Session, AFirstWindowWithAStaleCookieStartsAfresh) {
  listen(1);
  EXPECT_EQ(listen(2), "refused 1, kill");
  EXPECT_EQ(words(machine.nx_exited("signal 9", kNow)), "none, start 2, starting");
  EXPECT_EQ(event(NxEvent::kWaiting), "listening 2, listening");
  EXPECT_EQ(listen(3), "kill");
  EXPECT_EQ(words(machine.nx_exited("signal 9", kNow)), "none, start 3, starting");
}

TEST_F(Session, NobodyCameToTheFirstWindow) {
  listen(1);
  event(NxEvent::kWaiting);
  EXPECT_EQ(event(NxEvent::kTerminating), "ended");
  EXPECT_EQ(words(machine.nx_exited("aborted", kNow)), "none");
  EXPECT_EQ(listen(2), "start 2, starting");
}

TEST_F(Session, NobodyCameToAResumeWindow) {
  suspend();
  listen(2);
  event(NxEvent::kWaiting);
  EXPECT_EQ(event(NxEvent::kSuspending), "");
  EXPECT_EQ(event(NxEvent::kSuspended), "suspended");
  EXPECT_TRUE(machine.programs_running());
}

TEST_F(Session, NxagentThatCannotStartIsRefusedOnce) {
  listen(1);
  EXPECT_EQ(words(machine.nx_exited("no such file", kNow)), "refused 1, failed nxagent, none");
  EXPECT_EQ(machine.state(), SessionState::kNone);
}

TEST_F(Session, AbortBeforeListeningDoesNotLoop) {
  listen(1);
  event(NxEvent::kTerminating);
  EXPECT_EQ(words(machine.nx_exited("aborted", kNow)), "refused 1, failed nxagent, none");
}

TEST_F(Session, LogOut) {
  connect();
  const Moment later = kNow + Machine::kQuickEnd;
  EXPECT_EQ(words(machine.programs_exited("exit status 0", later)), "term, ended");
  EXPECT_EQ(event(NxEvent::kTerminating), "");
  EXPECT_EQ(words(machine.nx_exited("exit status 0", later)), "none");
  EXPECT_EQ(listen(2), "start 2, starting");
  event(NxEvent::kWaiting);
  EXPECT_EQ(event(NxEvent::kStarted), "connected, programs") << "a new session after a log-out";
}

TEST_F(Session, ListenDuringLogOutWaitsForTheEnd) {
  connect();
  (void)machine.programs_exited("exit status 0", kNow + Machine::kQuickEnd);
  EXPECT_EQ(listen(2), "");
  EXPECT_EQ(words(machine.nx_exited("exit status 0", kNow)), "none, start 2, starting");
}

TEST_F(Session, ProgramsThatEndAtOnceHaveFailed) {
  connect();
  EXPECT_EQ(words(machine.programs_exited("exit status 127", kNow + Moment{10})),
            "failed session, term, ended");
}

TEST_F(Session, NxagentCrashTakesTheProgramsAlong) {
  suspend();
  EXPECT_EQ(words(machine.nx_exited("signal 11", kNow)), "stop programs, none");
  EXPECT_EQ(words(machine.programs_exited("signal 15", kNow)), "");
}

TEST_F(Session, SuspendOnRequest) {
  connect();
  EXPECT_EQ(words(machine.suspend(now)), "hup, suspending");
  EXPECT_EQ(words(machine.suspend(now)), "");
  EXPECT_EQ(event(NxEvent::kSuspended), "suspended");
  EXPECT_EQ(words(machine.suspend(now)), "");
}

TEST_F(Session, SuspendCancelsATakeOver) {
  connect();
  listen(2);
  EXPECT_EQ(words(machine.suspend(now)), "refused 2");
  EXPECT_EQ(event(NxEvent::kSuspended), "suspended");
}

TEST_F(Session, HupsAreRepeatedUntilConfirmed) {
  connect();
  EXPECT_EQ(listen(2), "hup, suspending");
  EXPECT_EQ(words(machine.tick(now + Machine::kHupAgain - Moment{1})), "");
  EXPECT_EQ(words(machine.tick(now + Machine::kHupAgain)), "hup");
  EXPECT_EQ(event(NxEvent::kSuspending), "");
  EXPECT_EQ(words(machine.tick(now + Machine::kHupAgain * 4)), "") << "one more would resume it";
  EXPECT_EQ(event(NxEvent::kSuspended), "suspended");
  EXPECT_EQ(settle(), "resume 2, resuming");
  EXPECT_EQ(words(machine.tick(now + Machine::kResumeAgain - Moment{1})), "");
  EXPECT_EQ(words(machine.tick(now + Machine::kResumeAgain)), "hup") << "the user waits";
  EXPECT_EQ(event(NxEvent::kResuming), "");
  EXPECT_EQ(words(machine.tick(now + Machine::kHupAgain * 4)), "");
}

TEST_F(Session, AHupRightAfterTheStartWaits) {
  connect();
  now = kNow;
  EXPECT_EQ(listen(2), "suspending") << "it would end an nxagent that has just said 'started'";
  EXPECT_EQ(words(machine.tick(*machine.deadline())), "hup");
}

TEST_F(Session, Deadlines) {
  connect();
  listen(2);
  event(NxEvent::kSuspending);
  ASSERT_TRUE(machine.deadline());
  EXPECT_EQ(words(machine.tick(*machine.deadline() - Moment{1})), "");
  EXPECT_EQ(words(machine.tick(*machine.deadline())), "refused 2");
  EXPECT_FALSE(machine.deadline());

  Machine fresh;
  (void)fresh.listen(1, kNow);
  EXPECT_EQ(words(fresh.tick(kNow + Machine::kListenLimit)), "refused 1, kill");
  EXPECT_EQ(words(fresh.nx_exited("signal 9", kNow)), "none");
}

TEST_F(Session, AStuckLogOutIsKilled) {
  connect();
  (void)machine.programs_exited("exit status 0", kNow + Machine::kQuickEnd);
  EXPECT_EQ(words(machine.tick(kNow + Machine::kQuickEnd + Machine::kStopLimit)), "kill");
}

TEST_F(Session, LinesOutOfOrderDoNotConfuse) {
  EXPECT_EQ(event(NxEvent::kResumed), "") << "nothing runs";
  connect();
  EXPECT_EQ(event(NxEvent::kWaiting), "");
  EXPECT_EQ(event(NxEvent::kResuming), "");
  EXPECT_EQ(machine.state(), SessionState::kConnected);
}

/// The log of a real nxagent (first attach, suspend, resume, cut link, junk on the resume
/// window, resume, TERM), replayed.
TEST_F(Session, ReplayOfARealLog) {
  std::istringstream log(R"(Session: Starting session at 'Mon Nov 23 19:33:09 2026'.
Info: Waiting for connection from this host on socket 'unix:/tmp/nx.sock'.
Info: Accepted connection from this host on Unix file socket '/tmp/nx.sock'.
Session: Session started at 'Mon Nov 23 19:33:09 2026'.
Info: Screen [0] resized to geometry [960x600] fullscreen [0].
Session: Suspending session at 'Mon Nov 23 19:33:13 2026'.
Info: Waiting the cleanup timeout to complete.
Session: Session suspended at 'Mon Nov 23 19:33:14 2026'.
Session: Resuming session at 'Mon Nov 23 19:33:14 2026'.
Info: Waiting for connection from this host on socket 'unix:/tmp/nx.sock'.
Error: The remote NX proxy closed the connection.
Session: Display failure detected at 'Mon Nov 23 19:34:31 2026'.
Session: Suspending session at 'Mon Nov 23 19:34:31 2026'.
Session: Session suspended at 'Mon Nov 23 19:34:31 2026'.
Session: Terminating session at 'Mon Nov 23 19:34:40 2026'.
Session: Session terminated at 'Mon Nov 23 19:34:41 2026'.
)");
  std::string states;
  listen(1);
  for (std::string line; std::getline(log, line);) {
    if (line.find("Resuming") != std::string::npos) listen(2);
    const auto what = parse_nx_log(line);
    if (!what) continue;
    for (const Step& step : machine.nx_event(*what, kNow)) {
      if (step.action != Action::kReport) continue;
      states.append(agent::to_string(step.state)).append(" ");
    }
  }
  EXPECT_EQ(states, "listening connected suspending suspended listening suspended ended ");
}

}  // namespace
}  // namespace panal::session
