#include <CLI/CLI.hpp>

#include "runtime/cli/cli.h"
#include "runtime/cli/image_lint.h"
#include "runtime/cli/image_trial.h"
#include "runtime/cli/image_verbs.h"

namespace panal::cli {

void add_image_commands(CLI::App& app, Action& action) {
  auto* family = app.add_subcommand("image", "What desktops start from.");
  add_image_making_commands(*family, action);
  add_image_reading_commands(*family, action);
  add_image_trial_command(*family, action);
  add_image_tag_commands(*family, action);
  add_image_keeping_commands(*family, action);
  add_image_damage_commands(*family, action);
  add_image_moving_commands(*family, action);
  add_image_lint_command(*family, action);
}

}  // namespace panal::cli
