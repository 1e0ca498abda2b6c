#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "engine/kernel/cgroup.h"
#include "engine/model/decision.h"
#include "engine/model/snapshot.h"
#include "engine/policy/quiet.h"
#include "runtime/optimiser/io_rate.h"
#include "runtime/optimiser/memory_taker.h"
#include "runtime/optimiser/session_class.h"
#include "runtime/optimiser/wake_plan.h"
#include "runtime/optimiser/watching.h"

namespace panal::optimiser {

/// One desktop as the optimiser holds it. Where nothing else is said it is guarded by the
/// optimiser's mutex; `wanted` and `group` need none.
struct Desk {
  Desk(DesktopId number, kernel::Cgroup its_group) : id(number), group(std::move(its_group)) {
    last.desktop = number;
  }

  DesktopId id;
  const kernel::Cgroup group;
  /// Somebody comes back: whoever takes memory stops at once.
  std::atomic<bool> wanted{false};

  bool enlisted = false;
  SessionView session;
  bool unheard = false;  ///< nobody has said yet who is there
  Watching watching;
  MonotonicNs awake_until_ns = 0;  ///< being woken counts as active
  policy::Quiet quiet;             ///< since it is disconnected
  bool frozen = false;
  bool frozen_for_rescue = false;      ///< and not by the profile's wish
  bool limits_due = true;              ///< those of its class were not set yet
  MonotonicNs limits_again_at_ns = 0;  ///< they are on their way down; 0: they are set
  std::string limits_wait;             ///< why, with numbers
  std::string limits_refused;          ///< what the kernel did not take of them
  MonotonicNs not_frozen_before_ns = 0;
  bool busy = false;  ///< a worker has it
  GroupSnapshot last;
  IoRate io;
  std::uint64_t passes_at_start = 0;  ///< ksmd's, when it was enlisted
  TakeCursor cursor;                  ///< the worker's, while it is busy
  std::uint64_t taken_bytes = 0;      ///< since it was last woken
  bool monitor_taken = false;         ///< the hand's alone
  bool cooled = false;                ///< since it was last active
  ShaveDecision verdict;
  Treatment treatment;
  WakePlan plan;                 ///< the waker's, of the last wake
  bool woken = false;            ///< what its user touches is to be recorded
  MonotonicNs record_at_ns = 0;  ///< 0: not now
};
using DeskPtr = std::shared_ptr<Desk>;

}  // namespace panal::optimiser
