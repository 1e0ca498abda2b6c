#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "engine/profile/apply.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/left_ksm.h"
#include "runtime/cli/table.h"
#include "runtime/cli/tuned_machine.h"
#include "runtime/cli/tuning_state.h"
#include "runtime/tuning/profiles.h"

namespace panal::cli {
namespace {

struct TuneOptions {
  std::string word;
  std::uint32_t desktops = 0;  ///< 0: the profile's number
  bool all = false, dry_run = false, json = false;
};

const char* rule_word(profile::Setting::Rule rule) {
  switch (rule) {
    case profile::Setting::Rule::kAtLeast: return "at_least";
    case profile::Setting::Rule::kExactly: return "exactly";
    case profile::Setting::Rule::kInitial: return "initial";
    case profile::Setting::Rule::kFollows: return "follows";
  }
  return "";
}

nlohmann::json as_json(const std::vector<profile::Setting>& settings) {
  auto list = nlohmann::json::array();
  for (const auto& setting : settings) {
    list.push_back({{"name", setting.name},
                    {"rule", rule_word(setting.rule)},
                    {"wanted", setting.wanted},
                    {"original", setting.original},
                    {"before", setting.before},
                    {"after", setting.after},
                    {"changes", setting.changes()},
                    {"why", setting.why},
                    {"obstacle", setting.obstacle},
                    {"optional", setting.optional}});
  }
  return list;
}

void print_plan(const Shell& shell, const profile::Plan& plan, bool all) {
  shell.out << fmt::format("profile {} for {} desktops: {} of {} settings change\n", plan.profile,
                           plan.desktops, plan.changes(),
                           plan.settings.size() + plan.leaving.size());
  Table table({"SETTING", ">NOW", ">AFTER", "WHY"});
  for (const auto* some : {&plan.leaving, &plan.settings})
    for (const auto& setting : *some) {
      const bool stuck = !setting.obstacle.empty();
      if (!all && !stuck && !setting.changes()) continue;
      const std::string after = stuck ? setting.wanted : setting.after;
      const char* const what = setting.optional ? "left out" : "CANNOT BE SET";
      table.add_row({setting.name, setting.before.empty() ? "-" : setting.before, after,
                     stuck ? fmt::format("{}: {}", what, setting.obstacle) : setting.why});
    }
  if (table.rows() != 0) table.print(shell.out);
  for (const std::string& note : plan.notes) shell.out << "note: " << printable(note, 300) << "\n";
  for (const std::string& phrase : plan.guest)
    shell.out << "inside desktops, by panald: " << phrase << "\n";
}

/// Says the plan; refuses what an apply would refuse.
ExitCode show_plan(Shell& shell, const profile::Plan& plan, const TuneOptions& options) {
  const profile::Setting* blocked = plan.blocked();
  if (options.json)
    shell.print({{"profile", plan.profile},
                 {"desktops", plan.desktops},
                 {"changes", plan.changes()},
                 {"applicable", blocked == nullptr},
                 {"settings", as_json(plan.settings)},
                 {"leaving", as_json(plan.leaving)},
                 {"notes", plan.notes},
                 {"guest", plan.guest}});
  else
    print_plan(shell, plan, options.all);
  if (blocked == nullptr) return ExitCode::kOk;
  return shell.refuse(ExitCode::kRefused,
                      fmt::format("{} cannot be set here ({}): panal tune apply would change "
                                  "nothing; take it out of a copy of the profile, or say optional "
                                  "= true there",
                                  blocked->name, blocked->obstacle));
}

/// What an apply does before what the plan says; empty: nothing.
std::string first_of_all(const profile::Machine& machine) {
  const auto saved = profile::read_saved(machine);
  if (!saved || !*saved) return "";  // damaged: told by whoever needs it
  const std::string& name = (*saved)->profile;
  if (profile::of_earlier_boot(**saved, machine))
    return fmt::format(
        "profile {} was applied before the machine's last start, which took it back: it is "
        "forgotten first",
        name);
  if ((*saved)->state == profile::Saved::State::kApplied) return "";
  return fmt::format(
      "a change of the machine (profile {}) was stopped in the middle: what was before it is "
      "brought back first",
      name);
}

ExitCode tune_plan(Shell& shell, const TuneOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto places, shell.backends.machine());
  const TunedMachine here(places);
  PANAL_CLI_ASSIGN(shell, auto chosen,
                   choose_profile(shell.config, options.word, options.desktops, here.machine()));
  if (const std::string first = first_of_all(here.machine()); !first.empty())
    chosen.plan.notes.insert(chosen.plan.notes.begin(), first);
  if (options.dry_run && !places.refusal.empty())
    chosen.plan.notes.insert(chosen.plan.notes.begin(),
                             "panal tune apply would be refused: " + places.refusal);
  if (!options.json) shell.out << put_ksm_back_plan(shell);
  return show_plan(shell, chosen.plan, options);
}

/// Whether this command may change the machine; says why not.
ExitCode may_change(const Shell& shell, const MachinePlaces& places, const char* verb) {
  if (!places.refusal.empty()) return shell.refuse(ExitCode::kRefused, places.refusal);
  if (places.privileged) return ExitCode::kOk;
  return shell.refuse(ExitCode::kNotAllowed,
                      fmt::format("panal tune {} changes the machine: run it with sudo", verb));
}

void say_reverted(const Shell& shell, const profile::Reverted& done) {
  if (done.earlier_boot) {
    shell.out << fmt::format(
        "profile {} was applied before the machine's last start, which took "
        "it back\n",
        done.profile);
    for (const std::string& note : done.notes) shell.out << note << "\n";
    return;
  }
  for (const auto& value : done.values)
    shell.out << fmt::format("{}: {} -> {}{}\n", value.name, printable(value.from, 200),
                             printable(value.to, 200),
                             value.changed_meanwhile ? " (somebody had changed it meanwhile)" : "");
  for (const std::string& note : done.notes) shell.out << "note: " << note << "\n";
}

ExitCode tune_apply(Shell& shell, const TuneOptions& options) {
  if (options.dry_run) return tune_plan(shell, options);
  PANAL_CLI_ASSIGN(shell, const auto places, shell.backends.machine());
  if (const ExitCode no = may_change(shell, places, "apply"); no != ExitCode::kOk) return no;
  // Else the pace of a governor that is gone would be taken for the machine's own.
  if (!put_ksm_back(shell)) return ExitCode::kFailed;
  const TunedMachine here(places);
  const profile::Machine& machine = here.machine();
  PANAL_CLI_ASSIGN(shell, const auto lock, profile::MachineLock::take(places.lock_file));
  PANAL_CLI_ASSIGN(shell, const auto settled, profile::settle(machine, lock));
  if (settled) say_reverted(shell, *settled);
  PANAL_CLI_ASSIGN(shell, const auto chosen,
                   choose_profile(shell.config, options.word, options.desktops, machine));
  const auto left_out = profile::apply(chosen.plan, chosen.saved, machine, lock);
  if (!left_out)
    return shell.refuse(chosen.plan.blocked() != nullptr ? ExitCode::kRefused : ExitCode::kFailed,
                        left_out.error().context);
  print_plan(shell, chosen.plan, false);
  for (const std::string& sentence : *left_out) shell.out << printable(sentence, 400) << "\n";
  shell.out << fmt::format("profile {} is applied\n", chosen.plan.profile);
  return ExitCode::kOk;
}

/// What a plain revert would do.
ExitCode would_revert(Shell& shell, const profile::Machine& machine, const std::string& refusal) {
  PANAL_CLI_ASSIGN(shell, const auto saved, profile::read_saved(machine));
  if (!saved) return shell.refuse(ExitCode::kRefused, "no profile is applied on this machine");
  if (!refusal.empty()) shell.out << "panal tune revert would be refused: " << refusal << "\n";
  shell.out << put_ksm_back_plan(shell);
  const bool earlier_boot = profile::of_earlier_boot(*saved, machine);
  if (earlier_boot)
    shell.out << fmt::format(
        "would forget profile {}, which was applied before the machine's last start; that took it "
        "back\n",
        saved->profile);
  for (const auto& setting : saved->settings) {
    // But for a file that was swapped to: nobody does any more.
    if (earlier_boot && setting.file != profile::kSwapFileStep) continue;
    if (!setting.name_space.empty() && setting.name_space != profile::pid_namespace(machine)) {
      shell.out << fmt::format("would leave {} alone: it belongs to another pid namespace\n",
                               setting.name);
      continue;
    }
    const auto now = profile::read_setting(machine, setting);
    if (now && *now == setting.original) continue;
    shell.out << fmt::format("would set {} from {} back to {}\n", setting.name,
                             now ? printable(*now, 200) : "nothing",
                             printable(setting.original, 200));
  }
  return ExitCode::kOk;
}

ExitCode tune_revert(Shell& shell, const TuneOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto places, shell.backends.machine());
  const TunedMachine here(places);
  const profile::Machine& machine = here.machine();
  if (options.dry_run) return would_revert(shell, machine, places.refusal);
  if (const ExitCode no = may_change(shell, places, "revert"); no != ExitCode::kOk) return no;
  if (!put_ksm_back(shell)) return ExitCode::kFailed;
  PANAL_CLI_ASSIGN(shell, const auto lock, profile::MachineLock::take(places.lock_file));
  const auto done = profile::revert(machine, lock);
  if (!done && done.error().code == ENODATA)
    return shell.refuse(ExitCode::kRefused, done.error().context);
  if (!done) return shell.refuse(ExitCode::kFailed, done.error().context);
  say_reverted(shell, *done);
  shell.out << fmt::format("profile {} is no longer applied\n", done->profile);
  return ExitCode::kOk;
}

ExitCode tune_verify(Shell& shell, const TuneOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto places, shell.backends.machine());
  const TunedMachine here(places);
  const auto found =
      profile::verify(here.machine(), governed_settings(shell.config, here.machine().state_dir));
  if (!found && found.error().code == ENODATA)
    return shell.refuse(ExitCode::kRefused, found.error().context + ": panal tune apply");
  if (!found) return shell.told(found.error());
  if (options.json) {
    auto drift = nlohmann::json::array();
    for (const auto& one : found->drift)
      drift.push_back({{"name", one.name},
                       {"wanted", one.wanted},
                       {"found", one.found},
                       {"at_least", one.at_least}});
    shell.print({{"profile", found->profile},
                 {"good", found->good()},
                 {"checked", found->checked},
                 {"interrupted", found->interrupted},
                 {"earlier_boot", found->earlier_boot},
                 {"governed", found->governed},
                 {"drift", drift}});
  } else {
    for (const auto& one : found->drift)
      shell.out << fmt::format("{} is {}, not {}{}\n", one.name, printable(one.found, 200),
                               one.at_least ? "at least " : "", printable(one.wanted, 200));
    if (!found->governed.empty())
      shell.out << fmt::format("not checked, panald turns them while it governs KSM: {}\n",
                               fmt::join(found->governed, ", "));
  }
  if (found->interrupted)
    return shell.refuse(ExitCode::kFailed,
                        "a change of the machine was stopped in the middle: panal tune revert "
                        "brings it back to what it was, panal tune apply makes it whole");
  if (found->earlier_boot)
    return shell.refuse(ExitCode::kFailed, "profile " + found->profile +
                                               " was applied before the machine's last start, "
                                               "which took it back: panal tune apply");
  if (!found->good())
    return shell.refuse(
        ExitCode::kFailed,
        fmt::format("{} of {} settings are not as profile {} left them: panal "
                    "tune apply {} sets them again",
                    found->drift.size(), found->checked, found->profile, found->profile));
  if (!options.json)
    shell.out << fmt::format("profile {}: {} settings are as applied\n", found->profile,
                             found->checked);
  return ExitCode::kOk;
}

ExitCode tune_ls(Shell& shell, const TuneOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto names, tuning::profile_names(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto places, shell.backends.machine());
  const TunedMachine here(places);
  const auto saved = profile::read_saved(here.machine());
  const std::string applied = saved && *saved ? (*saved)->profile : "";
  auto list = nlohmann::json::array();
  Table table({"PROFILE", "STATE", ">DESKTOPS", "DESCRIPTION"});
  for (const std::string& name : names) {
    const auto profile = tuning::load_profile(shell.config, name);
    const std::string description = profile ? profile->description : sentence_of(profile.error());
    const bool is_default = name == shell.config.tuning_profile;
    const std::uint32_t desktops = profile ? profile->desktops : 0;
    list.push_back({{"name", name},
                    {"file", tuning::profile_file(shell.config, name)},
                    {"good", profile.has_value()},
                    {"applied", name == applied},
                    {"default", is_default},
                    {"desktops", desktops},
                    {"description", description}});
    table.add_row({name,
                   !profile          ? "broken"
                   : name == applied ? "applied"
                   : is_default      ? "default"
                                     : "",
                   std::to_string(desktops), description});
  }
  if (options.json)
    shell.print(list);
  else
    table.print(shell.out);
  return ExitCode::kOk;
}

ExitCode tune_show(Shell& shell, const TuneOptions& options) {
  const std::string word = options.word.empty() ? shell.config.tuning_profile : options.word;
  PANAL_CLI_ASSIGN(shell, const auto profile, chosen_profile(shell.config, options.word));
  if (options.json)
    shell.print({{"file", tuning::profile_file(shell.config, word)},
                 {"profile", nlohmann::json::parse(profile::print_profile_json(profile))}});
  else
    shell.out << profile::print_profile(profile);
  return ExitCode::kOk;
}

}  // namespace

TuningState tuning_state(const Shell& shell) {
  const auto places = shell.backends.machine();
  if (!places) return {"", "unknown", places.error().message()};
  const TunedMachine here(*places);
  const auto found =
      profile::verify(here.machine(), governed_settings(shell.config, here.machine().state_dir));
  if (!found && found.error().code == ENODATA) return {"", "none applied", "panal tune apply"};
  if (!found) return {"", "unknown", found.error().message()};
  if (found->interrupted) return {found->profile, "half done", "panal tune revert"};
  if (found->earlier_boot)
    return {found->profile, "before last boot", "panal tune apply " + found->profile};
  if (!found->good())
    return {found->profile, "drifted", fmt::format("{}; panal tune verify", found->profile)};
  return {found->profile, "applied", found->profile};
}

void add_tune_commands(CLI::App& app, Action& action) {
  auto* family = app.add_subcommand("tune", "This machine's kernel settings, by profile.");
  const auto options = std::make_shared<TuneOptions>();
  const auto verb = [&](const char* name, const char* help,
                        ExitCode (*handler)(Shell&, const TuneOptions&)) {
    auto* command = family->add_subcommand(name, help);
    command->callback([&action, options, handler] {
      action = [options, handler](Shell& shell) { return handler(shell, *options); };
    });
    return command;
  };
  const auto reads = [&](CLI::App* command) {
    command->add_flag("--json", options->json, "as JSON");
  };
  const auto changes = [&](CLI::App* command) {
    command->add_flag("--dry-run", options->dry_run, "say what would be done, change nothing");
  };
  const auto chooses = [&](CLI::App* command) {
    command->add_option("PROFILE", options->word,
                        "a name of panal tune ls, or a file (default: profile in [tuning])");
  };
  const auto counts = [&](CLI::App* command) {
    command
        ->add_option("--desktops", options->desktops,
                     "how many desktops to make limits for (default: the profile's number)")
        ->check(CLI::Range(1U, 100'000U));
    command->add_flag("--all", options->all, "also what is right already");
  };
  auto* ls = verb("ls", "List profiles and which is applied.", tune_ls);
  reads(ls);
  auto* show = verb("show", "All that a profile says, with defaults, as TOML.", tune_show);
  chooses(show);
  reads(show);
  auto* plan = verb("plan", "What applying a profile would change, and why.", tune_plan);
  chooses(plan);
  counts(plan);
  reads(plan);
  auto* apply = verb("apply", "Apply a profile, whole or not at all.", tune_apply);
  chooses(apply);
  counts(apply);
  changes(apply);
  auto* check = verb("verify", "Whether all is as applied; exit code 1 when not.", tune_verify);
  reads(check);
  auto* back = verb("revert", "Bring back what was before the first profile.", tune_revert);
  changes(back);
}

}  // namespace panal::cli
