#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/model/ids.h"
#include "engine/model/snapshot.h"

/// What policies say is to be done; actuators carry it out without asking why.
namespace panal {

enum class KsmPhase : std::uint8_t {
  kOff,     ///< nobody is enlisted: nothing is governed
  kStorm,   ///< desktops are starting: their pages still change, and starts need the CPU
  kBurst,   ///< passes at the CPU cap over what has come
  kProbe,   ///< as burst, to see whether there is something new
  kFollow,  ///< faster while it pays, slower while it does not
  kRest,    ///< almost nothing
};

struct KsmDecision {
  /// False: ksmd is as it was before, stopped where it was; what is merged stays merged.
  bool run = false;
  std::uint32_t pages_to_scan = 100;
  std::uint32_t sleep_ms = 20;
  KsmPhase phase = KsmPhase::kOff;

  [[nodiscard]] bool operator==(const KsmDecision&) const = default;
};

/// Desktops of one domain may share merged pages; two domains never do.
struct MergeDomainId {
  std::string tenant;
  std::string trust;  ///< the tenant's own word, e.g. "office" or "guests"

  [[nodiscard]] auto operator<=>(const MergeDomainId&) const = default;
};

enum class ShaveReason : std::uint8_t {
  kTaken,        ///< bytes are asked for
  kActive,       ///< somebody looks at it
  kAtFloor,      ///< nothing left that is worth a walk
  kWaitsForKsm,  ///< merged pages cannot be paged out, and paged out ones cannot be merged
  kPressure,     ///< it waits for memory or for I/O already
  kRefaults,     ///< it fetched back what was taken
  kNoYield,      ///< what was asked for did not come
  kNoSwapRoom,   ///< nowhere to put it
  kNotNeeded,    ///< the host has plenty
  kNextTime,     ///< this round's CPU time is spent
  kLongAway,     ///< disconnected for long: freeze
  kQuiet,        ///< disconnected, and nothing of it works: freeze
};

/// One desktop's verdict of a round. `freeze` and `bytes` may come together: take, then freeze.
struct ShaveDecision {
  DesktopId desktop = 0;
  std::uint64_t bytes = 0;  ///< to take back; 0: nothing
  bool freeze = false;
  ShaveReason reason = ShaveReason::kTaken;

  [[nodiscard]] bool operator==(const ShaveDecision&) const = default;
};

/// A piece of a process's address space.
struct MemoryRange {
  std::int32_t pid = 0;
  std::uint64_t start = 0;  ///< address, page-aligned
  std::uint64_t bytes = 0;

  [[nodiscard]] bool operator==(const MemoryRange&) const = default;
};

/// What a reconnect does, in this order, before the link is opened.
struct ReconnectDecision {
  std::vector<MemoryRange> before_thaw;
  bool thaw = false;
  std::vector<MemoryRange> after_thaw;

  [[nodiscard]] bool operator==(const ReconnectDecision&) const = default;
};

struct BalloonDecision {
  DesktopId desktop = 0;
  std::uint64_t balloon_bytes = 0;  ///< to be withheld from the guest

  [[nodiscard]] bool operator==(const BalloonDecision&) const = default;
};

/// The last resorts, mildest first; none is skipped while it still has something to give.
enum class LastResort : std::uint8_t {
  kNone,
  kReclaim,      ///< take all that disconnected desktops can give
  kFreeze,       ///< stop disconnected desktops
  kRefuse,       ///< no new desktop
  kKillProcess,  ///< the least important process of the worst desktop
  kKillDesktop,
};

struct LastResortDecision {
  LastResort step = LastResort::kNone;
  bool admission_closed = false;    ///< also while a harder step is taken
  std::vector<DesktopId> desktops;  ///< whom it concerns
  std::int32_t pid = 0;             ///< kKillProcess

  [[nodiscard]] bool operator==(const LastResortDecision&) const = default;
};

[[nodiscard]] std::string_view to_string(KsmPhase phase);
[[nodiscard]] std::string_view to_string(ShaveReason reason);
[[nodiscard]] std::string_view to_string(LastResort step);

}  // namespace panal
