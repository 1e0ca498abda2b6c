#pragma once

#include "runtime/cli/shell.h"

namespace CLI {
class App;
}

namespace panal::cli {

/// `panal image lint`: adds it to the family of `panal image`.
void add_image_lint_command(CLI::App& family, Action& action);

}  // namespace panal::cli
