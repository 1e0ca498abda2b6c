#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/log.h"
#include "engine/base/tree.h"
#include "engine/model/ids.h"
#include "engine/policy/ksm_programs.h"
#include "engine/policy/ksm_round.h"
#include "runtime/optimiser/tally.h"

namespace panal::optimiser {

/// Which programs of an image lose by being merged (policy::KsmPrograms): looks at the processes of
/// enlisted desktops on a thread of its own, one desktop after the other, because reading a
/// process's ksm_stat waits for a lock that the process may hold. Keeps what it learnt in a file.
///
/// All calls but look() are for any thread.
class ProgramLearner {
 public:
  /// Between two rounds; three lost ones leave a program out.
  static constexpr std::chrono::minutes kRoundEvery{10};
  /// Processes of one desktop; a fork bomb has no more to say.
  static constexpr std::size_t kMostProcesses = 256;
  /// Programs that a desktop is told of: what they lose most by comes first.
  static constexpr std::size_t kMostLeftOut = 32;

  struct Parts {
    const Tree& tree;  ///< must outlive it
    /// Of a desktop; called by look(). None: it is gone.
    std::function<std::vector<pid_t>(DesktopId)> processes;
    std::string file;  ///< empty: nothing is kept
    LoggerPtr log;
    std::chrono::milliseconds pause{20};  ///< between two desktops
  };
  explicit ProgramLearner(Parts parts) : parts_(std::move(parts)) {}
  ~ProgramLearner();
  ProgramLearner(const ProgramLearner&) = delete;
  ProgramLearner& operator=(const ProgramLearner&) = delete;

  /// Before begin(). A file that is not there is an empty one. Errors: EPROTO for a damaged one
  /// (nothing of it is taken, and the next round writes over it); EACCES, EIO.
  [[nodiscard]] Result<void> load();
  /// Starts the thread.
  void begin();

  /// The programs that stay out of merging in a desktop of this image that starts now. Counts as a
  /// start: now and then one is tried again.
  [[nodiscard]] std::vector<std::string> leave_out(const std::string& image);
  /// An enlisted desktop runs.
  void started(DesktopId id, const std::string& image);
  void ended(DesktopId id);

  [[nodiscard]] ProgramTally figures() const;
  /// "rounds", "known", and "left_out": IMAGE/PROGRAM and what it lost, in bytes.
  [[nodiscard]] nlohmann::json report() const;

  /// One look of the thread's, a minute after the last: notes ksmd's passes, and when a round is
  /// due judges all whose processes were scanned often enough. `boot_ns`: CLOCK_BOOTTIME.
  void look(std::int64_t boot_ns);

 private:
  void loop();
  void add_desktop(policy::KsmRound& round, DesktopId id, const std::string& image,
                   std::uint64_t before_ticks) const;
  void judge(const policy::KsmRound& round, std::int64_t boot_ns);
  [[nodiscard]] Result<void> save() const;
  /// False: it is to end.
  [[nodiscard]] bool rest(std::chrono::milliseconds span);

  Parts parts_;
  policy::KsmPasses passes_;  ///< the thread's, as is the next
  std::int64_t last_round_ns_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable end_came_;
  bool ending_ = false;
  std::map<DesktopId, std::string> images_;  ///< of enlisted desktops
  policy::KsmPrograms programs_;
  ProgramTally totals_;
  bool changed_ = false;  ///< since it was saved
  std::thread thread_;
};

}  // namespace panal::optimiser
