#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <thread>

#include "runtime/config/config.h"
#include "runtime/node/attach_desk.h"
#include "runtime/node/control_server.h"
#include "runtime/node/live_trial.h"
#include "runtime/node/trial_places.h"
#include "storage/image/image_store.h"
#include "storage/image/trial_record.h"

namespace panal::node {

/// Trial starts of image versions, one at a time, on a thread of its own: a throw-away desktop that
/// the store knows nothing of, without network and with an empty home in memory, under ids that no
/// user's desktop has. It is looked at through the pre-warmer's client and removed. What came of it
/// is kept with the version.
class TrialDesk {
 public:
  struct Parts {
    loop::Loop& loop;
    AgentHub& hub;
    desktop::Parts desktop;  ///< but for homes and network
    const config::Config& config;
    const storage::ImageStore& images;
    /// How a desktop of the version is started, for nobody in particular.
    std::function<Result<desktop::DesktopSpec>(const storage::VersionManifest&)> spec;
    /// As LiveTrial::Parts::client.
    std::function<Result<agent::Prewarm>(UniqueFd nx, const std::string& cookie)> client;
    LoggerPtr log;
  };
  struct Report {
    storage::TrialRecord record;
    bool kept = false;  ///< with the version; not where its directory cannot be written
  };
  using Done = std::function<void(const Answer<Report>&)>;
  using Say = std::function<void(const std::string&)>;

  explicit TrialDesk(Parts parts);
  /// As finish().
  ~TrialDesk();
  TrialDesk(const TrialDesk&) = delete;
  TrialDesk& operator=(const TrialDesk&) = delete;

  /// Removes what a panald that was killed has left of a trial. Before the first ask(), not on the
  /// loop's thread.
  [[nodiscard]] Result<void> clear();
  /// Tries the version when those asked for before are done; `say` and `done` come on the loop's
  /// thread, `done` once. Refusals: 404 no such version here, 503.
  void ask(const std::string& image, const std::string& version, Say say, Done done);
  /// `op` "trial" of panald's socket.
  void serve(const CallerPtr& caller, const nlohmann::json& request);
  /// Calls off what is under way, waits for it, and takes no more. Not on the loop's thread, which
  /// must run.
  void finish();

  // What the hub says of kTrialDesktop
  void on_session(const AgentState& state);
  void on_settled(std::uint32_t windows);

 private:
  struct Job {
    std::string image, version;
    Say say;
    Done done;
  };
  void work();
  [[nodiscard]] Answer<Report> run(const Job& job);
  [[nodiscard]] std::string state_dir() const {
    return parts_.config.desktop_state_dir(kTrialDesktop);
  }

  Parts parts_;
  TrialHomes homes_;
  NoNetwork network_;
  desktop::Lifecycle lifecycle_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  LiveTrial* current_ = nullptr;
  bool stopping_ = false;
  std::thread thread_;  ///< since the first ask()
};

}  // namespace panal::node
