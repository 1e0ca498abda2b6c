#include "runtime/session/machine.h"

#include <utility>

namespace panal::session {

SessionState Machine::state() const {
  switch (phase_) {
    case Phase::kNone: return SessionState::kNone;
    case Phase::kStarting: return SessionState::kStarting;
    case Phase::kFirstListening:
    case Phase::kListening: return SessionState::kListening;
    case Phase::kConnected: return SessionState::kConnected;
    case Phase::kSuspending:
    case Phase::kBurning: return SessionState::kSuspending;
    case Phase::kSuspended: return SessionState::kSuspended;
    case Phase::kResuming: return SessionState::kResuming;
    case Phase::kStopping: return SessionState::kEnded;
  }
  return SessionState::kNone;
}

std::optional<Moment> Machine::deadline() const { return deadline_; }

void Machine::enter(Phase phase, Moment now) {
  phase_ = phase;
  insisted_.reset();
  hup_sent_ = false;
  switch (phase) {
    case Phase::kStarting:
    case Phase::kResuming: limit_ = now + kListenLimit; break;
    case Phase::kSuspending:
    case Phase::kBurning: limit_ = now + kSuspendLimit; break;
    case Phase::kStopping: limit_ = now + kStopLimit; break;
    default: deadline_.reset(); return;
  }
  deadline_ = limit_;
}

void Machine::insist(Action action, Moment earliest, Moment now, Steps& steps) {
  insisted_ = action;
  deadline_ = earliest;
  if (earliest > now) return;
  steps.push_back({.action = action});
  hup_sent_ = hup_sent_ || action == Action::kHup;
  deadline_ = now + kHupAgain;
}

void Machine::confirmed() {
  if (!insisted_) return;
  insisted_.reset();
  deadline_ = limit_;
}

void Machine::report(Steps& steps, std::string reason) {
  if (state() == reported_) return;
  reported_ = state();
  steps.push_back({.action = Action::kReport,
                   .attach = current_,
                   .state = reported_,
                   .reason = std::move(reason)});
}

void Machine::refuse_pending(Steps& steps, std::string reason) {
  if (pending_ == 0) return;
  steps.push_back({.action = Action::kRefused, .attach = pending_, .reason = std::move(reason)});
  pending_ = 0;
}

Steps Machine::listen(std::uint64_t attach, Moment now) {
  Steps steps;
  refuse_pending(steps, "a newer connection took over");
  pending_ = attach;
  drive(now, steps);
  return steps;
}

void Machine::drive(Moment now, Steps& steps) {
  if (pending_ == 0) return;
  switch (phase_) {
    case Phase::kNone:
      current_ = pending_;
      enter(Phase::kStarting, now);
      steps.push_back({.action = Action::kStartNx, .attach = current_});
      report(steps);
      break;
    case Phase::kStarting:
    case Phase::kFirstListening:
      // It has read the old cookie, and nothing runs in it yet: a fresh one is the quickest way.
      if (current_ == pending_) break;
      enter(Phase::kStopping, now);
      steps.push_back({.action = Action::kKillNx});
      break;
    case Phase::kConnected:
      enter(Phase::kSuspending, now);
      insist(Action::kHup, connected_at_ + kHupAgain, now, steps);
      report(steps);
      break;
    case Phase::kSuspended:
      if (deadline_ && now < *deadline_) break;  // see nx_event(kSuspended)
      current_ = pending_;
      enter(Phase::kResuming, now);
      steps.push_back({.action = Action::kResumeNx, .attach = current_});
      // kResumeNx was the first HUP.
      insist(Action::kHup, now + kResumeAgain, now, steps);
      report(steps);
      break;
    case Phase::kListening:
      if (current_ == pending_) break;
      enter(Phase::kBurning, now);
      insist(Action::kBurn, now, now, steps);
      report(steps);
      break;
    case Phase::kResuming:
    case Phase::kSuspending:
    case Phase::kBurning:
    case Phase::kStopping: break;
  }
}

Steps Machine::suspend(Moment now) {
  Steps steps;
  refuse_pending(steps, "the session was suspended");
  switch (phase_) {
    case Phase::kConnected:
      enter(Phase::kSuspending, now);
      insist(Action::kHup, connected_at_ + kHupAgain, now, steps);
      break;
    case Phase::kListening:
      enter(Phase::kBurning, now);
      insist(Action::kBurn, now, now, steps);
      break;
    case Phase::kStarting:
    case Phase::kFirstListening:
      enter(Phase::kStopping, now);
      steps.push_back({.action = Action::kKillNx});
      break;
    default: break;
  }
  report(steps);
  return steps;
}

void Machine::answer_listening(Moment now, Steps& steps) {
  if (pending_ == current_ && pending_ != 0) {
    pending_ = 0;
    steps.push_back({.action = Action::kListening, .attach = current_});
  }
  report(steps);
  drive(now, steps);
}

void Machine::connected(Moment now, Steps& steps) {
  enter(Phase::kConnected, now);
  connected_at_ = now;
  if (pending_ == current_) pending_ = 0;
  report(steps);
  if (!programs_running_) {
    programs_running_ = true;
    programs_started_ = now;
    steps.push_back({.action = Action::kStartPrograms});
  }
  drive(now, steps);
}

Steps Machine::nx_event(NxEvent event, Moment now) {
  Steps steps;
  // Whatever a dying nxagent still logs, its exit is the next thing that counts.
  if (phase_ == Phase::kNone || phase_ == Phase::kStopping) return steps;
  switch (event) {
    case NxEvent::kWaiting:
      if (phase_ == Phase::kStarting)
        enter(Phase::kFirstListening, now);
      else if (phase_ == Phase::kResuming)
        enter(Phase::kListening, now);
      else
        break;
      answer_listening(now, steps);
      break;
    case NxEvent::kStarted:
    case NxEvent::kResumed: connected(now, steps); break;
    case NxEvent::kSuspending:
      if (phase_ == Phase::kConnected)
        enter(Phase::kSuspending, now);
      else
        confirmed();
      report(steps);
      break;
    case NxEvent::kSuspended: {
      // A link that is lost while our HUP is on its way suspends nxagent by itself, and the HUP
      // then means "resume": that must show before we resume it, or its window would be taken for
      // ours.
      const bool may_resume_by_itself = phase_ == Phase::kSuspending && hup_sent_;
      enter(Phase::kSuspended, now);
      if (may_resume_by_itself) deadline_ = now + kHupAgain;
      // An attach that fell back to suspended without a link: it was not to be.
      if (pending_ == current_) refuse_pending(steps, "nxagent went back to suspended");
      report(steps);
      drive(now, steps);
      break;
    }
    case NxEvent::kResuming:
      if (phase_ == Phase::kSuspended)
        enter(Phase::kResuming, now);
      else
        confirmed();
      report(steps);
      break;
    case NxEvent::kTerminating:
      enter(Phase::kStopping, now);
      report(steps, "nxagent is ending");
      break;
  }
  return steps;
}

Steps Machine::nx_exited(const std::string& reason, Moment now) {
  Steps steps;
  enter(Phase::kNone, now);
  if (programs_running_) {
    programs_running_ = false;
    steps.push_back({.action = Action::kStopPrograms});
  }
  // An attach that waited for another one's end starts afresh below; its own end refuses it.
  if (pending_ != 0 && pending_ == current_) {
    refuse_pending(steps, reason);
    if (!ended_) steps.push_back({.action = Action::kFailed, .step = "nxagent", .reason = reason});
  }
  current_ = 0;
  report(steps, ended_ ? "the session has ended" : reason);
  ended_ = false;
  drive(now, steps);
  return steps;
}

Steps Machine::programs_exited(const std::string& reason, Moment now) {
  Steps steps;
  if (!programs_running_) return steps;
  programs_running_ = false;
  if (now - programs_started_ < kQuickEnd) {
    steps.push_back({.action = Action::kFailed, .step = "session", .reason = reason});
  }
  if (phase_ == Phase::kNone) return steps;
  ended_ = true;
  if (phase_ != Phase::kStopping) {
    enter(Phase::kStopping, now);
    steps.push_back({.action = Action::kTermNx});
  }
  report(steps, reason);
  return steps;
}

Steps Machine::tick(Moment now) {
  Steps steps;
  if (!deadline_ || now < *deadline_) return steps;
  if (insisted_ && now < limit_) {
    insist(*insisted_, now, now, steps);
    return steps;
  }
  insisted_.reset();
  deadline_.reset();
  switch (phase_) {
    case Phase::kStarting:
      refuse_pending(steps, "nxagent did not listen in time");
      enter(Phase::kStopping, now);
      steps.push_back({.action = Action::kKillNx});
      break;
    case Phase::kResuming: refuse_pending(steps, "nxagent did not resume in time"); break;
    case Phase::kSuspending:
    case Phase::kBurning: refuse_pending(steps, "nxagent did not suspend in time"); break;
    case Phase::kStopping: steps.push_back({.action = Action::kKillNx}); break;
    case Phase::kSuspended: drive(now, steps); break;
    default: break;
  }
  return steps;
}

}  // namespace panal::session
