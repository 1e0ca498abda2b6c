#include "runtime/cli/tuned_machine.h"

#include "runtime/cli/left_ksm.h"
#include "runtime/tuning/profiles.h"

namespace panal::cli {

Result<profile::Profile> chosen_profile(const config::Config& config, const std::string& word) {
  auto profile = tuning::load_profile(config, word.empty() ? config.tuning_profile : word);
  if (!profile && profile.error().code == EPROTO) return fail(EINVAL, profile.error().context);
  return profile;
}

Result<ChosenProfile> choose_profile(const config::Config& config, const std::string& word,
                                     std::uint32_t desktops, const profile::Machine& machine) {
  PANAL_ASSIGN(const auto profile, chosen_profile(config, word));
  PANAL_ASSIGN(auto host, tuning::read_host_facts(machine.tree, machine.state_dir));
  host.before_governor = ksm_before_governor(machine.tree, machine.state_dir);
  ChosenProfile chosen;
  PANAL_ASSIGN(chosen.saved, profile::read_saved(machine));
  // A boot has taken it back: nothing there is ours any more.
  if (chosen.saved && profile::of_earlier_boot(*chosen.saved, machine)) chosen.saved.reset();
  PANAL_ASSIGN(chosen.plan, profile::make_plan(profile, desktops == 0 ? profile.desktops : desktops,
                                               host, machine, chosen.saved));
  return chosen;
}

}  // namespace panal::cli
