#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
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
#include "engine/base/unique_fd.h"
#include "engine/kernel/cgroup.h"
#include "engine/kernel/psi_trigger.h"
#include "engine/model/limits.h"
#include "engine/policy/headroom.h"
#include "engine/policy/last_resort.h"
#include "runtime/optimiser/fences.h"
#include "runtime/optimiser/rescue_hands.h"
#include "runtime/optimiser/resort_figures.h"
#include "runtime/optimiser/resort_processes.h"

namespace panal::optimiser {

/// The last resort of a node (engine/policy/last_resort) on a thread of its own: looks at what is
/// left to the host and to the groups above the desktops, and does what the law says when the
/// nearest of them comes to its end. It looks once a second, twice when few reserves are left, more
/// often and at each desktop when one more at its limit could be too much, at once when the kernel
/// says that the desktops wait for memory, and ten times a second in danger.
///
/// All calls are for any thread.
class Rescuer {
 public:
  struct Parts {
    const Tree& tree;  ///< must outlive it, as must the next two
    const kernel::CgroupRoot& cgroups;
    RescueHands& hands;
    std::string cgroup_parent;
    std::uint64_t reserve_bytes = 0;  ///< of the host's memory
    /// What one desktop may have: with less than that left, one alone can take the rest.
    std::uint64_t desktop_bytes = 0;
    LoggerPtr log;
  };

  /// Errors: ENOENT without the parent group; EMFILE.
  [[nodiscard]] static Result<std::unique_ptr<Rescuer>> open(Parts parts);
  ~Rescuer();
  Rescuer(const Rescuer&) = delete;
  Rescuer& operator=(const Rescuer&) = delete;

  /// Why no desktop may start, with numbers; nothing when they may.
  [[nodiscard]] std::optional<std::string> closed() const;
  /// Why the desktop was killed, told once; nothing when it was not. It is known before the
  /// desktop's init ends.
  [[nodiscard]] std::optional<std::string> killed(DesktopId id);
  /// A desktop of this number runs: what was about a former one is over. `at_start`: the limits it
  /// was started with; a panald that was killed, or had another profile, may have left others.
  void started(DesktopId id, const Limits& at_start);

  /// What was seen and done: danger, what is left where, steps taken, the last kills.
  [[nodiscard]] nlohmann::json report() const;
  /// The same as numbers, for metrics.
  [[nodiscard]] ResortFigures figures() const;
  /// Processes of it that were killed since it started, not those of a whole desktop. Of those
  /// that run.
  [[nodiscard]] std::map<DesktopId, std::uint64_t> killed_processes() const;

 private:
  /// A place whose memory can come to an end.
  struct Place {
    std::string name;
    std::optional<kernel::Cgroup> group;  ///< none: the host
  };
  struct Counters {
    std::uint64_t at_ns = 0, full_us = 0, scanned = 0, refaults = 0, taken = 0;
    bool of_host = false;  ///< full_us; else of the desktops' parent
  };
  /// What one look found.
  struct Sight {
    std::string place;      ///< the nearest to its end: with the fewest reserves left
    policy::Headroom room;  ///< there
    /// Where the fewest bytes are left, which one desktop could take: with a large reserve it may
    /// be another place.
    policy::Headroom least;
    double full_share = 0;
    std::uint64_t limit_bytes = 0;  ///< what the desktops share
    policy::Danger danger = policy::Danger::kNone;
    bool wary = false;  ///< worth looking more often
    bool near = false;  ///< one desktop more at its limit may be too much: look at each of them
  };
  struct Earlier {
    std::uint64_t bytes = 0;
    MonotonicNs at_ns = 0;
    double growth = 0;  ///< bytes per second, as last reckoned
  };
  /// Of a fenced desktop.
  struct Losses {
    std::uint64_t kernel_kills = 0;  ///< of its group, ever
    std::deque<MonotonicNs> at_ns;   ///< of each lately
  };
  struct Totals {
    std::uint64_t looks = 0, cpu_ns = 0, events = 0, errors = 0;
    std::map<std::string, std::uint64_t, std::less<>> steps;
    std::uint64_t killed_processes = 0, killed_desktops = 0;
    std::uint64_t fences = 0;  ///< Fences::raised()
  };

  explicit Rescuer(Parts parts) : parts_(std::move(parts)) {}
  [[nodiscard]] Result<void> open_places();
  void open_trigger();
  /// Places and trigger anew, once it is time: a group that was made again is another.
  void reopen(MonotonicNs now_ns);
  void loop();
  /// How long until the next look, in ms.
  [[nodiscard]] int look();
  /// What is left where.
  [[nodiscard]] Result<Sight> tightest() const;
  [[nodiscard]] Result<Sight> see();
  [[nodiscard]] std::optional<policy::DangerInput> waiting_since(MonotonicNs now_ns);
  /// `charges`: of the same desktops; of the largest they are read again, page cache included.
  [[nodiscard]] std::vector<policy::ResortDesktop> measure(const std::vector<RescueDesk>& desks,
                                                           const Sight& sight,
                                                           Fences::Charges& charges);
  /// What was kept of desktops that are no more.
  void forget_gone(const std::vector<RescueDesk>& desks);
  /// Processes that it lost lately; `kernel_kills`: of the group, ever.
  [[nodiscard]] std::uint64_t lost_lately(DesktopId id, std::uint64_t kernel_kills);
  /// False: they could not be had, and nobody can be chosen.
  [[nodiscard]] bool hold_worst(std::vector<policy::ResortDesktop>& desktops,
                                const std::vector<RescueDesk>& desks);
  void act(const LastResortDecision& decision, const Sight& sight,
           const std::vector<policy::ResortDesktop>& desktops,
           const std::vector<RescueDesk>& desks);
  void kill_process(const LastResortDecision& decision, const Sight& sight,
                    const policy::ResortDesktop& desktop, const RescueDesk& desk);
  void kill_desktop(const Sight& sight, const policy::ResortDesktop& desktop,
                    const RescueDesk& desk);
  void remember(const std::string& what);
  void complain(const char* step, const Error& error);
  [[nodiscard]] static std::string words(const Sight& sight);
  [[nodiscard]] static std::string words(const policy::ResortDesktop& desktop);

  Parts parts_;
  std::vector<Place> places_;
  std::optional<kernel::PsiTrigger> trigger_;
  std::atomic<bool> by_event_{false};
  MonotonicNs reopen_at_ns_ = 0;  ///< 0: nothing was taken away
  UniqueFd wake_;                 ///< written to once: the end
  policy::LastResorts resorts_;
  Fences fences_;
  std::deque<Counters> counters_;  ///< of the last seconds
  std::map<DesktopId, Earlier> earlier_;
  std::map<DesktopId, Losses> losses_;
  std::map<std::int32_t, Earlier> earlier_processes_;
  std::vector<HeldProcess> held_;  ///< of the worst desktop
  DesktopId held_of_ = 0;
  bool froze_ = false;  ///< somebody, and nobody was let go since
  MonotonicNs danger_at_ns_ = 0;

  mutable std::mutex mutex_;  ///< guards what follows
  std::optional<std::string> closed_;
  std::map<DesktopId, std::string> killed_;
  std::map<DesktopId, std::uint64_t> killed_processes_;
  std::deque<std::string> last_kills_;
  std::size_t fenced_ = 0;
  Sight sight_;
  Totals totals_;
  MonotonicNs complained_at_ns_ = 0;

  std::thread thread_;  ///< last: it uses all of the above
};

}  // namespace panal::optimiser
