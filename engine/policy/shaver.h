#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/model/decision.h"
#include "engine/model/memory.h"
#include "engine/model/session.h"
#include "engine/model/snapshot.h"

namespace panal::policy {

/// Merged pages cannot be paged out by process_madvise, paged out ones cannot be merged: which
/// comes first is the profile's choice.
enum class ShaveOrder : std::uint8_t {
  /// A desktop is left alone until KSM had two passes over it: for kLongestWaitForKsm at most, not
  /// where memory is short (need above a half), and not while ksmd stands still.
  kKsmFirst,
  kPageOutFirst,  ///< take at once; KSM gets what was fetched back
};

struct ShaverConfig {
  ShaveOrder order = ShaveOrder::kPageOutFirst;
  double eagerness = 0;                                     ///< 0: as memory gets short; 1: always
  std::uint64_t reserve_bytes = 0;                          ///< the host's own, of MemAvailable
  MonotonicNs freeze_after_ns = 15LL * 60 * 1'000'000'000;  ///< disconnected; 0: never
  /// Disconnected, and doing nothing for so long (Quiet); 0: never.
  MonotonicNs freeze_quiet_after_ns = 0;
};

struct ShaveDesktop {
  DesktopId id = 0;
  SessionClass session = SessionClass::kActive;
  MonotonicNs session_since_ns = 0;
  std::uint64_t anon_bytes = 0;      ///< resident, merged pages not counted
  std::uint64_t file_bytes = 0;      ///< page cache of its own: its home and upper layer
  std::uint64_t refault_pages = 0;   ///< since the group was made
  std::uint64_t memory_wait_us = 0;  ///< PSI some, total
  std::uint64_t io_wait_us = 0;
  MonotonicNs quiet_since_ns = 0;  ///< Quiet::since_ns(); 0: not known
  bool ksm_settled = false;        ///< two passes since its programs started, or it is not enlisted
};

/// A limited group around the desktops, which can be short of memory when the host is not.
struct ShaveGroup {
  std::uint64_t limit_bytes = 0;
  std::uint64_t available_bytes = 0;  ///< before anybody in it is swapped out
  std::uint64_t reserve_bytes = 0;
};

struct ShaveInput {
  MonotonicNs at_ns = 0;
  HostMemory memory;
  std::vector<ShaveGroup> groups = {};
  ZramStatistics zram;
  double idle_cores = 0;            ///< that nobody used since the last round
  double bytes_per_cpu_second = 0;  ///< what taking back was measured to cost; 0: not yet
  bool ksm_moves = true;            ///< ksmd gets on, at our pace (KsmMotion)
  std::vector<ShaveDesktop> desktops;
};

/// `ksm_settled` and `quiet_since_ns` are the caller's to say.
[[nodiscard]] ShaveDesktop shave_desktop_of(const GroupSnapshot& group);

/// Takes memory back from desktops that nobody looks at.
///
/// A step is (resident - floor) * rho(class), less the more the desktop waits for memory or I/O.
/// Right after it fetched some back there is a pause. Where half of what was taken lately is back,
/// or nothing came, it is left to rest: a minute at first, then four times as long each time, an
/// hour at most; a minute at most while memory is really short. A new class begins anew. What is
/// too little for a walk over the desktop waits, and grows, for up to a minute. All steps of a
/// round fit into a CPU budget that grows as memory gets short, and with what of the CPU nobody
/// uses: what is taken before a storm of starts need not be taken in it. Who has been away longest
/// comes first. The active are never touched.
class Shaver {
 public:
  /// Of a session's being of its class. On a full node two passes take minutes at the governor's
  /// full rate and hours at rest; what did not merge by then may be merged when it was fetched
  /// back.
  static constexpr MonotonicNs kLongestWaitForKsm = 5LL * 60 * 1'000'000'000;
  /// XFCE into zram, VMA by VMA: 84 MiB in 0.75 to 1.2 s. Until it was measured.
  static constexpr double kFirstBytesPerCpuSecond = 80.0 * 1024 * 1024;

  explicit Shaver(ShaverConfig config) : config_(config) {}

  /// One verdict a desktop, in the order of `input.desktops`. Call it every few seconds.
  [[nodiscard]] std::vector<ShaveDecision> decide(const ShaveInput& input);

  /// 0: plenty of memory; 1: the reserve is touched, the host's or that of a group.
  [[nodiscard]] double need(const ShaveInput& input) const;
  /// It gave nothing, or took it back: it need not be looked at before it is its turn again.
  [[nodiscard]] bool rests(DesktopId id, MonotonicNs now_ns) const;

 private:
  struct State {
    bool seen = false;
    ShaveDesktop last;
    MonotonicNs at_ns = 0;
    MonotonicNs stepped_ns = 0;  ///< since when the next step grows
    std::uint64_t asked_bytes = 0;
    double taken_bytes = 0;  ///< lately; halves each round
    MonotonicNs pause_until_ns = 0;
    bool tried = false;  ///< something was asked for in this class
    // What was taken, and what was fetched back, of late: half counts after kTrialHalfLifeSeconds.
    double out_bytes = 0, back_bytes = 0;
    double soft_floor = 0;  ///< where it fetched back what was taken
    unsigned empty_handed = 0;
    MonotonicNs rest_ns = 0;  ///< how long the last rest was to be; 0: none yet
    MonotonicNs rest_from_ns = 0;
    MonotonicNs eased_ns = 0;  ///< when rest_ns was made shorter
    ShaveReason rest_reason = ShaveReason::kRefaults;
    std::uint64_t round = 0;

    [[nodiscard]] MonotonicNs rests_until(bool really_short) const;
  };
  /// What holds for all desktops.
  struct Round {
    const ShaveInput& input;
    double need = 0;
    double elapsed_seconds = 0;
  };

  [[nodiscard]] bool waits_for_ksm(const ShaveDesktop& desktop, const Round& round) const;
  /// Why a desktop is to be frozen; nothing: it is not.
  [[nodiscard]] std::optional<ShaveReason> freezes(const ShaveDesktop& desktop,
                                                   MonotonicNs now_ns) const;
  static void learn(State& state, const ShaveDesktop& desktop, const Round& round);
  [[nodiscard]] ShaveDecision wish(const State& state, const ShaveDesktop& desktop,
                                   const Round& round) const;

  ShaverConfig config_;
  std::unordered_map<DesktopId, State> states_;
  MonotonicNs last_ns_ = 0;
  bool started_ = false;
  std::uint64_t round_ = 0;
};

}  // namespace panal::policy
