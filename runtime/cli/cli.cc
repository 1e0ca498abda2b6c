#include "runtime/cli/cli.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "engine/base/log.h"
#include "runtime/cli/net_query.h"

namespace panal::cli {
namespace {

/// "panal desktop start": the chain of subcommands the words chose.
std::string chosen_path(const CLI::App& app) {
  std::string path = app.get_name();
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    path += " " + at->get_name();
  }
  return path;
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return printable(text, 500);
}

}  // namespace

Parsed parse_command_line(const std::vector<std::string>& words, std::ostream& out,
                          std::ostream& err) {
  CommandLine line;
  CLI::App app("Panal: hundreds of Linux desktops on one host, over HTTPS/NX.", "panal");
  app.fallthrough();
  app.footer(kExitCodesHelp);
  app.add_option("--config", line.config_file,
                 std::string("configuration file (default: $PANAL_CONFIG, ") +
                     config::kDefaultConfigFile + ")");
  add_node_commands(app, line);
  add_image_commands(app, line.action);
  add_user_commands(app, line.action);
  add_tenant_commands(app, line.action);
  add_desktop_commands(app, line.action);
  add_home_commands(app, line.action);
  add_compose_commands(app, line.action);
  add_tune_commands(app, line.action);
  add_net_commands(app, line.action);
  try {
    const auto plain = without_arrows(words);
    app.parse(std::vector<std::string>(plain.rbegin(), plain.rend()));
  } catch (const CLI::CallForHelp&) {
    const CLI::App* at = &app;
    while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
    out << at->help(at == &app ? std::string()
                               : chosen_path(app).substr(0, chosen_path(app).rfind(' ')));
    return {};
  } catch (const CLI::ParseError& error) {
    const std::string path = chosen_path(app);
    err << fmt::format("{}: {}; see {} --help\n", path, one_line(error.what()), path);
    return {std::nullopt, ExitCode::kUsage};
  }
  if (!line.action) {
    const std::string path = chosen_path(app);
    err << fmt::format("{}: say what to do; {} --help lists the commands\n", path, path);
    return {std::nullopt, ExitCode::kUsage};
  }
  return {std::move(line), ExitCode::kOk};
}

int run(const std::vector<std::string>& words, std::ostream& out, std::ostream& err, bool tty,
        Backends& backends) {
  auto parsed = parse_command_line(words, out, err);
  if (!parsed.command) return static_cast<int>(parsed.code);
  Shell shell{out, err, tty, parsed.command->config_file, {}, backends};
  if (parsed.command->needs_config) {
    auto config = config::load(shell.config_file);
    if (!config) {
      const bool text = config.error().code == EPROTO;
      return static_cast<int>(
          shell.refuse(ExitCode::kUsage, text ? config.error().context : config.error().message()));
    }
    shell.config = std::move(*config);
  }
  return static_cast<int>(parsed.command->action(shell));
}

}  // namespace panal::cli
