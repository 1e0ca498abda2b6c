#include "runtime/optimiser/session_class.h"

namespace panal::optimiser {

std::string_view to_string(SessionClass session) {
  switch (session) {
    case SessionClass::kActive: return "active";
    case SessionClass::kIdle: return "idle";
    case SessionClass::kDisconnected: return "disconnected";
    case SessionClass::kFrozen: return "frozen";
  }
  return "active";
}

SessionClass class_of(const SessionView& session, bool frozen, bool watched,
                      std::chrono::seconds idle_after, MonotonicNs now_ns) {
  if (!session.connected) return frozen ? SessionClass::kFrozen : SessionClass::kDisconnected;
  if (watched) return SessionClass::kActive;
  // Between two words of the agent nobody has touched it, or it would have said so.
  const std::chrono::nanoseconds silent{
      now_ns > session.told_at_ns && session.idle_ms > 0 ? now_ns - session.told_at_ns : 0};
  return std::chrono::milliseconds{session.idle_ms} + silent >= idle_after ? SessionClass::kIdle
                                                                           : SessionClass::kActive;
}

}  // namespace panal::optimiser
