#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/doctor.h"
#include "runtime/cli/metrics.h"
#include "runtime/cli/supervisor/services.h"
#include "runtime/cli/up.h"

namespace panal::cli {
namespace {

ExitCode show_config(Shell& shell, bool check, bool json) {
  if (check) {
    shell.out << "the configuration is good\n";
  } else if (json) {
    shell.print({{"toml", config::print(shell.config)}});
  } else {
    shell.out << config::print(shell.config);
  }
  return ExitCode::kOk;
}

ExitCode doctor(Shell& shell, bool json) {
  PANAL_CLI_ASSIGN(shell, const auto tree, Tree::open_system());
  const auto checks = run_doctor(shell.config, tree);
  const auto word = [](Check::Verdict verdict) {
    return verdict == Check::kOk ? "ok" : verdict == Check::kWarning ? "warn" : "FAIL";
  };
  const bool well = healthy(checks);
  if (json) {
    auto list = nlohmann::json::array();
    for (const auto& check : checks) {
      list.push_back({{"name", check.name},
                      {"verdict", word(check.verdict)},
                      {"found", check.found},
                      {"mend", check.mend}});
    }
    shell.print({{"healthy", well}, {"checks", list}});
  } else {
    for (const auto& check : checks) {
      shell.out << fmt::format("{:4}  {:24}  {}\n", word(check.verdict), printable(check.name, 80),
                               printable(check.found, 400));
      if (!check.mend.empty()) {
        shell.out << fmt::format("{:32}mend: {}\n", "", printable(check.mend, 600));
      }
    }
  }
  return well ? ExitCode::kOk : ExitCode::kFailed;
}

ExitCode supervise_here(Shell& shell) {
  if (geteuid() != 0) {
    return shell.refuse(ExitCode::kNotAllowed, "panal supervise needs root: run it with sudo");
  }
  PANAL_CLI_TRY(shell, supervisor::supervise(shell.config, shell.config_file));
  return ExitCode::kOk;
}

}  // namespace

void add_node_commands(CLI::App& app, CommandLine& line) {
  Action& action = line.action;

  auto* up_command = app.add_subcommand("up", "Bring this node up; again: nothing changes.");
  const auto up_options = std::make_shared<UpOptions>();
  up_command->add_flag("--wait", up_options->wait, "also wait until all wanted desktops run");
  up_command->add_flag("--dry-run", up_options->dry_run, "say what would be done, change nothing");
  up_command->add_flag("--prepare", up_options->prepare,
                       "make what is missing, start nothing (panal.service does this first)");
  const auto image = std::make_shared<std::vector<std::string>>();
  auto* first = up_command->add_option("--first-desktop", *image,
                                       "also make image (default: icewm), user and desktop");
  first->expected(0, 1)->type_name("[IMAGE]");
  up_command->callback([&action, up_options, image, first] {
    up_options->first_desktop = first->count() > 0;
    if (!image->empty() && !image->front().empty()) up_options->image = image->front();
    action = [up_options](Shell& shell) { return up(shell, *up_options); };
  });

  auto* down_command = app.add_subcommand(
      "down", "Stop desktops and programs here; data stays, up brings them back.");
  const auto down_options = std::make_shared<DownOptions>();
  down_command->add_flag("--keep-desktops", down_options->keep_desktops, "leave desktops running");
  down_command->add_flag("--dry-run", down_options->dry_run,
                         "say what would be done, change nothing");
  down_command->callback([&action, down_options] {
    action = [down_options](Shell& shell) { return down(shell, *down_options); };
  });

  const auto json = std::make_shared<bool>(false);
  auto* status_command = app.add_subcommand("status", "What runs; exit code 3 unless all does.");
  status_command->add_flag("--json", *json, "as JSON");
  status_command->callback(
      [&action, json] { action = [json](Shell& shell) { return status(shell, *json); }; });

  auto* doctor_command = app.add_subcommand(
      "doctor", "Whether this host can run desktops, and how to mend what fails.");
  doctor_command->add_flag("--json", *json, "as JSON");
  doctor_command->callback(
      [&action, json] { action = [json](Shell& shell) { return doctor(shell, *json); }; });

  auto* top_command = app.add_subcommand(
      "top", "What the host is short of, and what each desktop costs; refreshed.");
  const auto top_options = std::make_shared<TopOptions>();
  top_command->add_flag("--once", top_options->once, "print once");
  top_command->add_flag("--json", top_options->json, "print once as JSON");
  top_command->add_option("--seconds", top_options->seconds, "between two looks")
      ->check(CLI::Range(1U, 3600U));
  top_command->callback([&action, top_options] {
    action = [top_options](Shell& shell) { return top(shell, *top_options); };
  });

  auto* metrics_command =
      app.add_subcommand("metrics", "What panald counted and decided, as Prometheus reads it.");
  const auto metrics_options = std::make_shared<MetricsOptions>();
  auto* metrics_json = metrics_command->add_flag("--json", metrics_options->json, "as JSON");
  metrics_command
      ->add_option("--textfile", metrics_options->textfile,
                   "replace this file instead of printing (node_exporter reads *.prom)")
      ->type_name("FILE")
      ->excludes(metrics_json);
  metrics_command->callback([&action, metrics_options] {
    action = [metrics_options](Shell& shell) { return metrics(shell, *metrics_options); };
  });

  const auto check = std::make_shared<bool>(false);
  auto* config_command = app.add_subcommand("config", "The configuration that holds, as TOML.");
  config_command->add_flag("--check", *check, "only say whether it is good");
  config_command->add_flag("--json", *json, "as JSON");
  config_command->callback([&action, check, json] {
    action = [check, json](Shell& shell) { return show_config(shell, *check, *json); };
  });

  auto* version_command = app.add_subcommand("version", "The version of panal.");
  version_command->add_flag("--json", *json, "as JSON");
  version_command->callback([&line, json] {
    line.needs_config = false;
    line.action = [json](Shell& shell) {
      if (*json)
        shell.print({{"version", PANAL_VERSION}});
      else
        shell.out << "panal " << PANAL_VERSION << "\n";
      return ExitCode::kOk;
    };
  });

  auto* supervise_command = app.add_subcommand("supervise", "Keep this node's programs alive.");
  supervise_command->group("");  // started by panal up
  supervise_command->callback([&action] { action = supervise_here; });
}

}  // namespace panal::cli
