#pragma once

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "runtime/cli/shell.h"

namespace CLI {
class App;
}

namespace panal::cli {

/// A command line that was understood.
struct CommandLine {
  Action action;
  std::string config_file;
  bool needs_config = true;  ///< false: runs even where the configuration file is broken
};

/// Reads the words after the program's name. Says what is wrong in one sentence on `err` (or prints
/// the help on `out`) and gives the exit code instead.
struct Parsed {
  std::optional<CommandLine> command;
  ExitCode code = ExitCode::kOk;
};
[[nodiscard]] Parsed parse_command_line(const std::vector<std::string>& words, std::ostream& out,
                                        std::ostream& err);

/// The whole of `panal`: parse, read the configuration, act.
[[nodiscard]] int run(const std::vector<std::string>& words, std::ostream& out, std::ostream& err,
                      bool tty, Backends& backends);

/// Each family of verbs adds its subcommands; the one that is chosen sets `action`.
void add_user_commands(CLI::App& app, Action& action);
void add_tenant_commands(CLI::App& app, Action& action);
void add_image_commands(CLI::App& app, Action& action);
void add_desktop_commands(CLI::App& app, Action& action);
void add_home_commands(CLI::App& app, Action& action);
void add_compose_commands(CLI::App& app, Action& action);
void add_tune_commands(CLI::App& app, Action& action);
void add_net_commands(CLI::App& app, Action& action);
void add_node_commands(CLI::App& app, CommandLine& line);

}  // namespace panal::cli
