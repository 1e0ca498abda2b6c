#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "runtime/cli/shell.h"

namespace panal::cli {

/// Verbs of `panal image` that share options. Those live as long as the action that was chosen.
template <typename Options>
class ImageVerbs {
 public:
  ImageVerbs(CLI::App& family, Action& action)
      : options(std::make_shared<Options>()), family_(family), action_(action) {}

  CLI::App& add(const std::string& name, const std::string& help,
                ExitCode (*handler)(Shell&, const Options&)) {
    auto* command = family_.add_subcommand(name, help);
    command->callback([&action = action_, kept = options, handler] {
      action = [kept, handler](Shell& shell) { return handler(shell, *kept); };
    });
    return *command;
  }
  void dry_run(CLI::App& command) const {
    command.add_flag("--dry-run", options->dry_run, "say what would be done, change nothing");
  }
  void json(CLI::App& command) const { command.add_flag("--json", options->json, "as JSON"); }

  std::shared_ptr<Options> options;

 private:
  CLI::App& family_;
  Action& action_;
};

// Each concern of `panal image` adds its verbs.
void add_image_making_commands(CLI::App& family, Action& action);   ///< build, commit, import
void add_image_reading_commands(CLI::App& family, Action& action);  ///< ls, log, show, diff
void add_image_tag_commands(CLI::App& family, Action& action);      ///< tag, untag, publish...
void add_image_keeping_commands(CLI::App& family, Action& action);  ///< rm, agree, gc
void add_image_damage_commands(CLI::App& family, Action& action);   ///< verify, repair
void add_image_moving_commands(CLI::App& family, Action& action);   ///< export, push, pull...

}  // namespace panal::cli
