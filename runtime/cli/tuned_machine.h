#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/profile/plan.h"
#include "engine/profile/saved.h"
#include "engine/profile/swap_steps.h"
#include "runtime/cli/shell.h"

namespace panal::cli {

/// This machine, with who knows how to do what takes more than one write.
class TunedMachine {
 public:
  /// `places` must outlive it.
  explicit TunedMachine(const MachinePlaces& places)
      : steps_(places.tree, places.state_dir),
        machine_{places.tree, places.state_dir, &steps_, places.privileged, {}} {}
  TunedMachine(const TunedMachine&) = delete;
  TunedMachine& operator=(const TunedMachine&) = delete;

  [[nodiscard]] const profile::Machine& machine() const { return machine_; }

 private:
  profile::SwapSteps steps_;
  profile::Machine machine_;
};

/// A profile, and what it would do to this machine.
struct ChosenProfile {
  profile::Plan plan;
  std::optional<profile::Saved> saved;  ///< what is applied in this boot; apply() wants it
};

/// `word`: a name or a file; empty: the configuration's.
/// Errors: those of tuning::load_profile(), but EINVAL where the profile does not hold water: it is
/// wrong input and not a failure.
[[nodiscard]] Result<profile::Profile> chosen_profile(const config::Config& config,
                                                      const std::string& word);

/// `desktops` 0: the profile's number. Errors: those of chosen_profile(), and of reading.
[[nodiscard]] Result<ChosenProfile> choose_profile(const config::Config& config,
                                                   const std::string& word, std::uint32_t desktops,
                                                   const profile::Machine& machine);

}  // namespace panal::cli
