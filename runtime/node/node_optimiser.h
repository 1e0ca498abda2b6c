#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/log.h"
#include "engine/policy/admission.h"
#include "runtime/config/config.h"
#include "runtime/desktop/desktop.h"
#include "runtime/node/agent_hub.h"
#include "runtime/node/host.h"
#include "runtime/optimiser/figures.h"
#include "runtime/optimiser/gatekeeper.h"
#include "runtime/optimiser/optimiser.h"
#include "runtime/optimiser/program_learner.h"
#include "runtime/optimiser/rescuer.h"
#include "runtime/optimiser/zram_writer.h"
#include "runtime/store/store.h"

namespace panal::node {

/// The parts of the host's optimiser on this node, set up as the configuration's tuning profile has
/// it: told what becomes of desktops, asked what may start and how, and what was seen and decided.
/// On the loop's thread but for sharing() and not_started(), which are for any.
class NodeOptimiser {
 public:
  struct Parts {
    const config::Config& config;  ///< must outlive it, as must the next
    const Host& host;
    LoggerPtr log;
  };
  /// Errors: those of the profile and of each part.
  [[nodiscard]] static Result<std::unique_ptr<NodeOptimiser>> open(Parts parts);

  // Before a start
  /// All rows of the node: who gets the place in KSM depends on who else is to start.
  void expect(const std::vector<const store::Desktop*>& rows);
  /// Why it may not begin now; nothing: it may. `in_flight`: starts under way.
  [[nodiscard]] std::optional<optimiser::StartWait> may_start(const store::Desktop& row,
                                                              std::uint32_t in_flight);
  /// What it offers of its memory.
  [[nodiscard]] desktop::MemorySharing sharing(const store::Desktop& row);
  void not_started(DesktopId id) { optimiser_->not_started(id); }
  void start_ended(std::chrono::nanoseconds took) { gatekeeper_->ended(took); }

  // A desktop that runs, also one that ran before this panald did
  /// `heard`: its agent has said who is there.
  void started(const desktop::DesktopSpec& spec, pid_t init, bool heard);
  void session(DesktopId id, const AgentState& state);
  /// So many bytes went to its client in that time.
  void flowed(DesktopId id, std::uint64_t bytes, std::chrono::milliseconds over) {
    optimiser_->flowed(id, bytes, over);
    gatekeeper_->flowed(bytes);
  }
  /// As Optimiser::wake(): `done` comes on a thread of its.
  void wake(DesktopId id, std::function<void()> done) { optimiser_->wake(id, std::move(done)); }
  [[nodiscard]] bool treat(DesktopId id, const optimiser::Treatment& treatment) {
    return optimiser_->treat(id, treatment);
  }
  void ended(DesktopId id);
  /// Why this node killed it; nothing when it did not. Told once.
  [[nodiscard]] std::optional<std::string> killed(DesktopId id) { return rescuer_->killed(id); }

  /// Nothing starts or ends, and so many run: what they take of the host.
  void learn(std::size_t running);
  [[nodiscard]] std::string room() const { return gatekeeper_->room(); }
  /// Of all that is counted, in the mean of the desktops that run.
  [[nodiscard]] std::vector<policy::Resource> resources() const {
    return gatekeeper_->resources({});
  }
  /// What was seen and decided, and each desktop's class and memory.
  [[nodiscard]] nlohmann::json report() const;
  /// What metrics are made of.
  [[nodiscard]] optimiser::Figures figures() const;
  [[nodiscard]] optimiser::ResortFigures resort_figures() const { return rescuer_->figures(); }

 private:
  explicit NodeOptimiser(Parts parts) : parts_(std::move(parts)) {}
  [[nodiscard]] Result<void> open_parts();
  void begin_to_write_back(const optimiser::Settings& settings);

  Parts parts_;
  bool fixed_addresses_ = false;  ///< of the enlisted
  // Each uses those before it on threads of its own.
  std::unique_ptr<optimiser::Optimiser> optimiser_;
  std::optional<optimiser::ProgramLearner> programs_apart_;  ///< from merging
  std::unique_ptr<optimiser::Rescuer> rescuer_;
  std::optional<optimiser::Gatekeeper> gatekeeper_;
  std::optional<optimiser::ZramWriter> zram_writer_;  ///< where the profile has a place for it
};

}  // namespace panal::node
