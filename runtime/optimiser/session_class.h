#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "engine/model/session.h"
#include "engine/model/snapshot.h"

namespace panal::optimiser {

/// "active", "idle", "disconnected", "frozen"
[[nodiscard]] std::string_view to_string(SessionClass session);

/// What is known of a session.
struct SessionView {
  bool connected = false;     ///< a client looks at it
  std::uint64_t idle_ms = 0;  ///< since the last input; the agent says it once a minute
  MonotonicNs told_at_ns = 0;

  [[nodiscard]] bool operator==(const SessionView&) const = default;
};

/// `frozen`: its processes are stopped. A client that is there makes it active or idle whatever
/// else: it is being woken. `watched`: so much goes to the client that somebody must look at it.
[[nodiscard]] SessionClass class_of(const SessionView& session, bool frozen, bool watched,
                                    std::chrono::seconds idle_after, MonotonicNs now_ns);

}  // namespace panal::optimiser
