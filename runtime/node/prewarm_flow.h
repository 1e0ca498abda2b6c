#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "engine/base/log.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "runtime/loop/loop.h"
#include "runtime/node/agent_hub.h"

namespace panal::node {

/// A running pre-warmer; its end is its destructor's work.
class PrewarmRun {
 public:
  virtual ~PrewarmRun() = default;
  /// Readable once it has ended by itself; the run owns it.
  [[nodiscard]] virtual int pidfd() const = 0;
  /// Why it ended, one sentence.
  [[nodiscard]] virtual std::string why_ended() = 0;
};

/// Gives desktops their first attach, so that programs are up before the user comes:
/// listen (warm) -> pre-warmer attached -> settled -> suspend -> suspended -> pre-warmer killed.
/// A desktop whose pre-warming fails is as usable as one that had none. On the loop's thread.
class PrewarmFlow {
 public:
  struct Parts {
    loop::Loop& loop;
    AgentHub& hub;
    std::function<Result<UniqueFd>(DesktopId)> open_nx;
    std::function<Result<std::unique_ptr<PrewarmRun>>(DesktopId, UniqueFd nx,
                                                      const std::string& cookie)>
        launch;
    LoggerPtr log;
  };
  PrewarmFlow(Parts parts, std::size_t at_once) : parts_(std::move(parts)), at_once_(at_once) {}

  /// As soon as its agent is there; at most `at_once` desktops are pre-warmed at the same time.
  void begin(DesktopId id);
  /// The desktop goes: ends it at once, without a word to the agent.
  void cancel(DesktopId id);
  /// A user comes: nothing more is done, but the pre-warmer's link stays until the agent, told to
  /// listen for the user, has ended it in order. (An nxagent whose first link is cut the moment it
  /// is up can stay black for good.)
  void give_way(DesktopId id);
  [[nodiscard]] bool active(DesktopId id) const { return runs_.count(id) > 0; }

  // What the hub says
  void on_session(DesktopId id, const AgentState& state);
  void on_settled(DesktopId id);

 private:
  enum class Stage { kListening, kConnecting, kSettling, kSuspending, kGivingWay };
  struct Run {
    Stage stage = Stage::kListening;
    std::string cookie;
    std::unique_ptr<PrewarmRun> process;
    std::unique_ptr<loop::Descriptor> watch;
    std::unique_ptr<loop::Timer> timer;
    std::uint64_t attach = 0;
    bool connected = false;
  };

  void begin_if_there(DesktopId id);
  void next();
  void listen(DesktopId id);
  void on_listening(DesktopId id, std::uint64_t attach, const Result<void>& result);
  void end(DesktopId id, const std::string& failure);
  [[nodiscard]] Run* find(DesktopId id);

  Parts parts_;
  std::size_t at_once_;
  std::set<DesktopId> wanted_;  ///< their agents are not there yet
  std::deque<DesktopId> waiting_;
  std::map<DesktopId, Run> runs_;
};

}  // namespace panal::node
