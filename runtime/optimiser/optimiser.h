#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/log.h"
#include "engine/base/tree.h"
#include "engine/kernel/cgroup.h"
#include "engine/kernel/ksm.h"
#include "engine/policy/ksm_governor.h"
#include "engine/policy/ksm_motion.h"
#include "engine/policy/merge_places.h"
#include "engine/policy/recent_speed.h"
#include "engine/policy/reconnect.h"
#include "engine/policy/shaver.h"
#include "runtime/optimiser/desk.h"
#include "runtime/optimiser/figures.h"
#include "runtime/optimiser/hot_book.h"
#include "runtime/optimiser/ksm_keeper.h"
#include "runtime/optimiser/memory_fetcher.h"
#include "runtime/optimiser/rescue_hands.h"
#include "runtime/optimiser/settings.h"
#include "runtime/optimiser/taker_trial.h"

namespace panal::optimiser {

/// The node's optimiser: looks at host and desktops, asks the policies (engine/policy), and does
/// what they say. Three threads: one looks and decides once a second, one takes memory back, one
/// wakes desktops whose users return, which must not wait for the others.
///
/// Desktops it freezes are thawed when it ends, and KSM's former settings put back. After a
/// kill -9 the next one does both. All calls are for any thread; none waits for more than a write
/// or two of the kernel's.
class Optimiser final : public RescueHands {
 public:
  struct Parts {
    const Tree& tree;  ///< must outlive it, as must the next
    const kernel::CgroupRoot& cgroups;
    std::string cgroup_parent;
    std::string saved_ksm_file;  ///< the machine's record: ksm_record_file()
    LoggerPtr log;
    std::string hot_directory = {};      ///< of hot_book.h; empty: hot memory is not kept on disk
    std::string machine_lock_file = {};  ///< as for KsmRecord
    /// Tries ways to take memory back before one is used; null: the files that are there decide.
    std::shared_ptr<TakerTrials> trials = nullptr;
    /// Where each desktop's monitor is, in a group of the desktop's name; empty: left alone.
    std::string monitor_parent = {};
  };

  /// Errors: those of KsmKeeper::recover().
  [[nodiscard]] static Result<std::unique_ptr<Optimiser>> open(Parts parts, Settings settings);
  ~Optimiser() override;
  Optimiser(const Optimiser&) = delete;
  Optimiser& operator=(const Optimiser&) = delete;

  /// All desktops that are to run on this node, by merge domain; `agreed`: their tenant's answer.
  void expect(std::vector<policy::MergeDemand> all);
  /// Whether a desktop that is about to start offers its memory to KSM: the kernel has one tree for
  /// all, so only one merge domain's do at a time (policy::MergePlaces), and where the profile asks
  /// for it, only with its tenant's `consent`. The place is kept until ended() or not_started(),
  /// and then for as long as its group exists.
  [[nodiscard]] bool enlist(DesktopId id, const MergeDomainId& domain, bool consent);
  void not_started(DesktopId id);
  /// A desktop runs; also one that ran before this panald did. `enlisted`: in KSM. `heard`: its
  /// agent has said who is there. One that has not (it comes back to a new panald within a second
  /// or so) is not taken for disconnected, unless it stands: for kUnheardNs it counts as active, or
  /// until it speaks.
  void started(DesktopId id, const MergeDomainId& domain, bool enlisted, bool heard = true);
  void ended(DesktopId id);
  void session(DesktopId id, bool connected, std::uint64_t idle_ms);
  /// `bytes` went to its client in the time `over` before now.
  void flowed(DesktopId id, std::uint64_t bytes, std::chrono::milliseconds over);
  /// Somebody wants in: fetches what draws, thaws, then calls `done` (on a thread of ours), then
  /// fetches the rest (WakePlan); some seconds later what was touched is recorded for the next
  /// time. An unknown desktop is done at once.
  void wake(DesktopId id, std::function<void()> done);
  /// Makes sure that it runs, before it is stopped; blocks for a few ms.
  void thaw(DesktopId id);

  [[nodiscard]] std::vector<RescueDesk> rescue_desks() const override;
  void take_all(std::span<const DesktopId> ids) override;
  void freeze_all(std::span<const DesktopId> ids) override;
  void let_go() override;
  /// False: no such desktop.
  bool treat(DesktopId id, const Treatment& treatment);

  /// What was seen and decided, and each desktop's class and memory.
  [[nodiscard]] nlohmann::json report() const;
  /// What metrics are made of.
  [[nodiscard]] Figures figures() const;
  /// Each desktop as it was last read, up to a minute ago; nothing is read for it.
  [[nodiscard]] std::vector<GroupSnapshot> last_seen() const;

 private:
  /// How long a desktop that is being woken counts as active before its client has to be there.
  static constexpr MonotonicNs kAwakeNs = 60LL * 1'000'000'000;
  /// Agents look for panald once a second, and there may be a thousand of them.
  static constexpr MonotonicNs kUnheardNs = 10LL * 1'000'000'000;
  /// The first frame has come by then, and nothing that the user opens.
  static constexpr MonotonicNs kRecordAfterNs = 3LL * 1'000'000'000;
  /// ksmd's, after which a desktop's memory is merged as far as it can be.
  static constexpr std::uint64_t kPassesToSettle = 2;
  struct Job {
    DeskPtr desk;
    std::uint64_t bytes = 0;
    bool freeze = false;
    SessionClass session = SessionClass::kActive;  ///< it was when this was decided
    bool cool = false;                             ///< cooling.cc
    bool drop = false;                             ///< what is on a swap device already
  };
  enum class FreezeFor : std::uint8_t {
    kProfile,  ///< waited for until it stands
    kRescue,   ///< asked for, and no more; until let_go()
  };
  struct Waking {
    DeskPtr desk;
    std::function<void()> done;
    /// By us: what its user touches now is what a return needs. What the kernel took, or a panald
    /// before this one, may have been out all the time, with a user at work.
    bool was_taken = true;
    std::chrono::steady_clock::time_point asked = std::chrono::steady_clock::now();
  };

  Optimiser(Parts parts, Settings settings);
  void decide_loop();
  void take_loop();
  void wake_loop();
  void tick();
  void classify(MonotonicNs now_ns);
  void look_at_desks(MonotonicNs now_ns);
  void govern_ksm(const Snapshot& host);
  /// enlisting.cc: the next two.
  void weigh_domains(const Snapshot& host);
  void release_gone_places();
  /// Anonymous memory of all desktops; 0 while there is none.
  [[nodiscard]] std::uint64_t anon_of_all();
  [[nodiscard]] bool may_be_taken(const GroupSnapshot& desktop, MonotonicNs now_ns) const;
  void shave_round(const Snapshot& host);
  /// Of those around the desktops; the decider's.
  [[nodiscard]] std::vector<policy::ShaveGroup> limited_groups();
  [[nodiscard]] const std::vector<kernel::Cgroup>& around();
  /// On v2: the groups around the desktops keep for them what the spared classes have.
  void protect_spared();
  void take(const Job& job);
  void cool(Desk& desk);
  void drop(Desk& desk);
  void take_monitor(Desk& desk);  ///< monitors.cc: once, and it never wakes but to end
  /// For any thread. Does nothing with who is frozen, or was seen meanwhile.
  void freeze(Desk& desk, FreezeFor why);
  void thaw_now(Desk& desk);
  void wake_now(const Waking& waking);
  void record(const DeskPtr& desk);
  /// False: it gave way, or its time was over.
  bool fetch(Desk& desk, FetchPart part, std::chrono::milliseconds patience);
  void set_limits(const DeskPtr& desk, SessionClass session);
  void read(const DeskPtr& desk);
  void read_io(const DeskPtr& desk);     ///< io_rate.cc
  void see_doings(const DeskPtr& desk);  ///< doings.cc
  void complain(const char* what, const Error& error);
  [[nodiscard]] DeskPtr find(DesktopId id) const;

  Parts parts_;
  Settings settings_;
  KsmKeeper ksm_keeper_;
  policy::KsmGovernor governor_;
  policy::Shaver shaver_;
  policy::KsmMotion ksm_motion_;  ///< the decider's
  std::unique_ptr<MemoryTaker> taker_;
  std::unique_ptr<MemoryTaker> monitor_taker_;  ///< their groups may have no memory controller
  HotBook hot_;
  std::optional<kernel::Ksmd> ksmd_;
  std::optional<kernel::Cgroup> all_;   ///< the desktops' parent; the decider's
  std::vector<kernel::Cgroup> around_;  ///< it and those above it; the decider's

  mutable std::mutex mutex_;
  std::condition_variable ticked_, jobs_came_, waking_came_;
  bool ending_ = false;
  std::map<DesktopId, DeskPtr> desks_;
  std::deque<Job> jobs_;
  std::deque<Waking> waking_;
  std::deque<DeskPtr> rests_;    ///< awake, but for what nobody waits for
  std::deque<DeskPtr> records_;  ///< awake for some seconds: what came back is to be recorded
  std::atomic<bool> somebody_waits_{false};
  Snapshot host_;
  policy::KsmSample ksm_sample_;  ///< what the governor saw last, and decided
  KsmDecision ksm_decision_;
  std::uint64_t enlisted_starts_ = 0;
  policy::MergePlaces places_;  ///< in KSM: who is, who is about to be, who is on the way out
  std::optional<MergeDomainId> told_holder_;  ///< of places_, as the log has it
  bool told_draining_ = false;
  MonotonicNs last_round_ns_ = 0;
  std::uint64_t idle_at_round_ns_ = 0;  ///< CPU time of the host; 0: no round yet
  bool cools_ = true;                   ///< the kernel has not said that it cannot
  bool ksm_taken_over_ = false;         ///< by somebody else: nobody is enlisted
  policy::RecentSpeed take_speed_{policy::Shaver::kFirstBytesPerCpuSecond};
  policy::RecentSpeed fetch_speed_{policy::kFirstFetchBytesPerSecond};
  Tally totals_;
  std::map<std::string, std::chrono::steady_clock::time_point> complained_;

  std::thread decider_, hand_, waker_;  ///< last: they use all of the above
};

/// CLOCK_MONOTONIC.
[[nodiscard]] MonotonicNs monotonic_ns();

}  // namespace panal::optimiser
