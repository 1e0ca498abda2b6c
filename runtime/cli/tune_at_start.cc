#include "runtime/cli/tune_at_start.h"

#include <fmt/format.h>

#include "engine/base/log.h"
#include "engine/profile/apply.h"
#include "runtime/cli/left_ksm.h"
#include "runtime/cli/tuned_machine.h"

namespace panal::cli {
namespace {

/// Nothing is applied since the last start, or an apply was stopped in the middle.
bool is_due(const std::optional<profile::Saved>& saved, const profile::Machine& machine) {
  return !saved || profile::of_earlier_boot(*saved, machine) ||
         saved->state == profile::Saved::State::kApplying;
}

/// What was said of it; the error says why it is not applied.
Result<std::string> apply_now(const Shell& shell, const MachinePlaces& places,
                              const std::function<void(const std::string&)>& say) {
  const TunedMachine here(places);
  PANAL_ASSIGN(const auto lock, profile::MachineLock::take(places.lock_file));
  // Looked at again: another `panal up` may have had the lock.
  PANAL_ASSIGN(const auto before, profile::read_saved(here.machine()));
  if (!is_due(before, here.machine()))
    return fmt::format("profile {} is applied already", before->profile);
  PANAL_TRY(profile::settle(here.machine(), lock));
  PANAL_ASSIGN(const auto chosen, choose_profile(shell.config, "", 0, here.machine()));
  const auto left_out = profile::apply(chosen.plan, chosen.saved, here.machine(), lock);
  if (!left_out) return fail(EBUSY, left_out.error().context);  // a whole sentence
  for (const std::string& sentence : *left_out) say(printable(sentence, 400));
  return fmt::format("profile {} is applied: {} of {} settings changed", chosen.plan.profile,
                     chosen.plan.changes(),
                     chosen.plan.settings.size() + chosen.plan.leaving.size());
}

}  // namespace

void tune_at_start(Shell& shell, const std::function<void(const std::string&)>& say) {
  if (!shell.config.tuning_apply_at_start) return;
  const auto applied = [&]() -> Result<std::string> {
    PANAL_ASSIGN(const auto places, shell.backends.machine());
    const TunedMachine here(places);
    PANAL_ASSIGN(const auto saved, profile::read_saved(here.machine()));
    if (!is_due(saved, here.machine())) {
      if (saved->state == profile::Saved::State::kApplied) return std::string();  // as it should be
      return fail(EBUSY, "a revert was stopped in the middle: panal tune revert ends it");
    }
    if (!places.refusal.empty()) return fail(EBUSY, places.refusal);
    if (!put_ksm_back(shell)) return fail(EBUSY, "KSM has to be put back first");
    return apply_now(shell, places, say);
  }();
  if (!applied)
    say(fmt::format("profile {} is not applied: {}", shell.config.tuning_profile,
                    printable(sentence_of(applied.error()), 600)));
  else if (!applied->empty())
    say(*applied);
}

std::string tune_at_start_plan(Shell& shell) {
  if (!shell.config.tuning_apply_at_start) return "";
  const auto places = shell.backends.machine();
  if (!places) return "";
  const TunedMachine here(*places);
  const auto saved = profile::read_saved(here.machine());
  if (saved && !is_due(*saved, here.machine())) return "";
  const std::string& name = shell.config.tuning_profile;
  if (!places->refusal.empty())
    return fmt::format("would not apply profile {}: {}\n", name, places->refusal);
  return fmt::format("would apply profile {} (panal tune plan shows what it changes)\n", name);
}

}  // namespace panal::cli
