#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/agent/protocol.h"
#include "runtime/session/nx_log.h"

namespace panal::session {

using agent::SessionState;
/// A point of a monotonic clock, in milliseconds.
using Moment = std::chrono::milliseconds;

/// What the owner of the processes has to do next.
enum class Action {
  kStartNx,        ///< write options and cookie of `attach`, start nxagent
  kResumeNx,       ///< write options and cookie of `attach`, HUP nxagent
  kHup,            ///< HUP nxagent: a live link suspends, a suspended one resumes
  kBurn,           ///< connect to nx.sock and close: ends a resume window whose cookie is stale
  kTermNx,         ///< SIGTERM
  kKillNx,         ///< SIGKILL
  kStartPrograms,  ///< the session's programs: X answers now
  kStopPrograms,   ///< nxagent has gone: they cannot live on
  kListening,      ///< tell the host: attach `attach` may connect
  kRefused,        ///< tell the host: attach `attach` cannot be, `reason`
  kReport,         ///< tell the host: the state is `state`, `reason`
  kFailed,         ///< tell the host: step `step` failed, `reason`
};

struct Step {
  Action action = Action::kReport;
  std::uint64_t attach = 0;
  SessionState state = SessionState::kNone;
  std::string step{};
  std::string reason{};
};
using Steps = std::vector<Step>;

/// The life of one NX session, without processes, clocks or sockets: events in, steps out.
///
/// Only the newest attach counts: one that is not listening yet is refused when the next one
/// comes, a connected one is suspended first (take-over). Facts about nxagent behind it are in
/// docs/agent.md.
class Machine {
 public:
  /// nxagent listens 0.1 s after its start and suspends within 6 s; these are for a starved host.
  static constexpr Moment kListenLimit{20000};
  static constexpr Moment kSuspendLimit{20000};
  static constexpr Moment kStopLimit{5000};
  /// nxagent says "started", "resumed" and "suspended" a little before it is: a HUP in between is
  /// ignored, or ends it. So the HUP waits a little, and comes again until nxagent says it has it.
  static constexpr Moment kHupAgain{250};
  /// A long suspended nxagent overlooks the first HUP more often than not, and the user waits: the
  /// second one comes sooner.
  static constexpr Moment kResumeAgain{40};
  /// Programs that end sooner did not end because their user logged out.
  static constexpr Moment kQuickEnd{5000};

  [[nodiscard]] Steps listen(std::uint64_t attach, Moment now);
  [[nodiscard]] Steps suspend(Moment now);
  [[nodiscard]] Steps nx_event(NxEvent event, Moment now);
  /// nxagent has ended (or could not be started). `reason` is for people.
  [[nodiscard]] Steps nx_exited(const std::string& reason, Moment now);
  /// The session's first program has ended (or could not be started).
  [[nodiscard]] Steps programs_exited(const std::string& reason, Moment now);
  [[nodiscard]] Steps tick(Moment now);

  /// When tick() has something to do; nothing while all is quiet.
  [[nodiscard]] std::optional<Moment> deadline() const;
  [[nodiscard]] SessionState state() const;
  /// The attach that listens or is connected; 0: none yet.
  [[nodiscard]] std::uint64_t attach() const { return current_; }
  [[nodiscard]] bool programs_running() const { return programs_running_; }

 private:
  enum class Phase {
    kNone,
    kStarting,
    kFirstListening,
    kConnected,
    kSuspending,
    kSuspended,
    kResuming,
    kListening,
    kBurning,
    kStopping,
  };

  void enter(Phase phase, Moment now);
  /// Orders `action` at `earliest` and again until nxagent confirms it or limit_ is over.
  void insist(Action action, Moment earliest, Moment now, Steps& steps);
  void confirmed();
  /// Takes the next step towards the attach that waits.
  void drive(Moment now, Steps& steps);
  void report(Steps& steps, std::string reason = {});
  void refuse_pending(Steps& steps, std::string reason);
  void answer_listening(Moment now, Steps& steps);
  void connected(Moment now, Steps& steps);

  Phase phase_ = Phase::kNone;
  std::uint64_t current_ = 0;
  std::uint64_t pending_ = 0;  ///< asked for and neither listening nor refused
  std::optional<Moment> deadline_;
  std::optional<Action> insisted_;  ///< ordered and not confirmed yet
  bool hup_sent_ = false;           ///< a HUP of ours is out since this phase began
  Moment limit_{0};                 ///< when insisting, and waiting after it, is given up
  Moment connected_at_{0};
  bool programs_running_ = false;
  bool ended_ = false;  ///< the user logged out: say so until nxagent has gone
  Moment programs_started_{0};
  SessionState reported_ = SessionState::kNone;
};

}  // namespace panal::session
