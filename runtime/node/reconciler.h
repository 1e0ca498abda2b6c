#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/base/log.h"
#include "runtime/loop/loop.h"
#include "runtime/node/decide.h"
#include "runtime/node/expiry.h"
#include "runtime/node/operations.h"
#include "runtime/node/worker_pool.h"
#include "runtime/optimiser/gatekeeper.h"
#include "runtime/optimiser/tally.h"

namespace panal::node {

/// Makes what is match what the store wants, desktop by desktop, at most one operation each at a
/// time. On the loop's thread but for the operations, which workers run.
class Reconciler {
 public:
  struct Events {
    std::function<void(DesktopId)> started;  ///< also after a take-over
    std::function<void(DesktopId)> ended;    ///< or is being stopped
  };
  struct Parts {
    loop::Loop& loop;
    Operations& operations;
    WorkerPool& workers;  ///< starts and stops
    WorkerPool& clerk;    ///< short database work
    std::string node;
    LoggerPtr log;
    /// Whether one more may start while `in_flight` do; why not. None: always.
    std::function<std::optional<optimiser::StartWait>(const store::Desktop&,
                                                      std::uint32_t in_flight)>
        may_start = nullptr;
    std::function<void(std::chrono::nanoseconds)> start_ended = nullptr;
    /// Why a desktop that ended was killed by this node; it is failed then, and not started again
    /// by itself. Nothing: it was not.
    std::function<std::optional<std::string>(DesktopId)> killed = nullptr;
    /// Whether somebody is connected, or may be. None: versions never expire.
    std::function<bool(DesktopId)> in_use = nullptr;
    /// Says something to whoever is connected.
    std::function<void(DesktopId, const std::string&)> tell = nullptr;
    std::function<std::chrono::steady_clock::time_point()> now = &std::chrono::steady_clock::now;
  };

  Reconciler(Parts parts, Events events);

  /// Desktops that ran before panald did.
  void hold(Started adopted);
  /// Reads all rows and acts on each; calls while one is under way run it once more afterwards.
  void scan();
  /// Reads one row and acts on it; for a notification's payload (empty: all).
  void wake(const std::string& payload);

  /// Ends a desktop that cannot go on, and writes it as failed with this reason; it is not started
  /// again by itself. One that does not run, or that an operation is under way for, is left alone:
  /// say it again. Returns whether it was ended.
  bool give_up(DesktopId id, const std::string& reason);
  /// How many were.
  [[nodiscard]] std::uint64_t given_up() const { return given_up_; }

  /// What it was started with; null when it does not run.
  [[nodiscard]] const desktop::DesktopSpec* running(DesktopId id) const;
  [[nodiscard]] std::vector<DesktopId> running_ids() const;
  /// Of its init; -1 when it does not run.
  [[nodiscard]] pid_t init_pid(DesktopId id) const;
  /// Null when it does not run.
  [[nodiscard]] const Pidfd* init(DesktopId id) const;
  /// True while an operation for it is under way.
  [[nodiscard]] bool busy(DesktopId id) const;
  /// The rows of this node as last read; they stand until the loop's next turn.
  [[nodiscard]] std::vector<const store::Desktop*> rows() const;
  /// Desktops by observed state, as last read.
  [[nodiscard]] std::map<std::string, std::size_t> states() const;
  /// Starts that are under way, and those that wait for the gate.
  [[nodiscard]] std::uint32_t starting() const { return starting_; }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
  [[nodiscard]] const optimiser::StartTally& starts() const { return starts_; }
  /// Desktops whose init ended by itself, by what was decided of them: metrics::kExitVerdicts.
  [[nodiscard]] const optimiser::Counts& exits() const { return exits_; }
  /// Desktops that were started again because their version had expired.
  [[nodiscard]] std::uint64_t expired() const { return expiry_.restarts(); }
  [[nodiscard]] std::map<std::string, std::size_t> running_by_tenant() const;
  /// No operation is under way, nor ended in the last `span`.
  [[nodiscard]] bool at_rest(std::chrono::seconds span) const;

  /// Starts nothing any more, and stops what runs where `stop_desktops`; `done` once nothing is
  /// under way.
  void shut_down(bool stop_desktops, std::function<void(std::size_t left)> progress,
                 std::function<void()> done);

 private:
  struct Held {
    Started started;
    std::unique_ptr<loop::Descriptor> watch;
  };
  struct Entry {
    store::Desktop row;
    std::chrono::steady_clock::time_point read{};  ///< its row, by Parts::now
    bool known = false;                            ///< the store has a row
    bool busy = false;
    std::uint64_t finished = 0;  ///< number of its last operation that ended
    std::optional<Held> held;
    CrashLimit crashes;
    std::chrono::steady_clock::time_point not_before{};
    std::chrono::seconds pause{0};
    bool exited = false;  ///< while an operation of it was under way
    std::string told;     ///< why it waits, as the store has it
    /// Since it asked to start: no room, and of what.
    std::set<std::pair<bool, std::string_view>> waits_for;
  };
  using Outcome = std::function<void(Entry&)>;

  void on_rows(const std::vector<store::Desktop>& rows, std::uint64_t begun);
  /// `begun`: finished_ when the row's reading began.
  void take_row(const store::Desktop& row, std::uint64_t begun);
  void consider(DesktopId id);
  void act(DesktopId id, Entry& entry, Action action);
  /// One that runs as it should: unless its version has expired.
  void look_at_version(DesktopId id, Entry& entry);
  void consider_all();
  [[nodiscard]] bool must_wait(DesktopId id, Entry& entry);
  void count_wait(Entry& entry, const optimiser::StartWait& wait);
  void tell_wait(DesktopId id, Entry& entry, const std::string& reason);
  void let_in();
  void start(DesktopId id);
  void stop(DesktopId id, Entry& entry, const std::string& reason);
  void on_exit(DesktopId id);
  /// Runs `work` on a worker, then on the loop what it returned, then looks at the fresh row.
  void run(DesktopId id, std::function<Outcome(store::Store&)> work);
  void finish(DesktopId id, const Outcome& outcome, const Result<store::Desktop>& fresh);
  void postpone(Entry& entry);
  void check_shut_down();

  Parts parts_;
  Events events_;
  Expiry expiry_;
  loop::Timer expire_;
  std::map<DesktopId, Entry> entries_;
  loop::Timer retry_;
  loop::Timer gate_;
  std::deque<DesktopId> waiting_;  ///< for the gate, first come first
  std::chrono::milliseconds gate_pause_{100};
  std::uint32_t starting_ = 0;
  optimiser::StartTally starts_;
  optimiser::Counts exits_;
  std::uint64_t given_up_ = 0;
  std::chrono::steady_clock::time_point last_end_{};  ///< of an operation
  std::uint64_t finished_ = 0;  ///< operations that have ended, of all desktops
  bool scanning_ = false;
  bool scan_again_ = false;
  bool going_down_ = false;
  bool stop_all_ = false;
  std::function<void(std::size_t)> down_progress_;
  std::function<void()> down_done_;
};

}  // namespace panal::node
