#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/desktop_logs.h"
#include "runtime/cli/desktops.h"
#include "runtime/cli/image_refs.h"
#include "runtime/cli/names.h"
#include "runtime/cli/node_mounts.h"
#include "runtime/cli/operator_name.h"
#include "runtime/cli/table.h"
#include "runtime/cli/users.h"

namespace panal::cli {
namespace {

using std::chrono::seconds;

struct DesktopOptions {
  store::Desktop desktop;
  std::string pattern, tenant;
  std::uint32_t count = 1;
  std::vector<std::string> names;
  bool all = false, no_wait = false, dry_run = false, json = false, follow = false;
  std::uint32_t lines = 40, timeout = 0;
};

/// What its starts take now: the version that it keeps to, or that its tag names. An image may have
/// none yet. Errors: ENOENT with the nearest name there is; EINVAL for both.
Result<std::string> source_of(const ImageCatalog& catalog, const store::Desktop& wanted) {
  if (!wanted.version.empty() && !wanted.tag.empty())
    return fail(EINVAL, "a desktop keeps to a version or follows a tag, not both");
  if (wanted.version.empty() && wanted.tag.empty())
    return catalog.at(wanted.image, store::kDefaultTag);
  const std::string& name = wanted.tag.empty() ? wanted.version : wanted.tag;
  PANAL_ASSIGN(const auto version, catalog.resolve(wanted.image + ":" + name, store::kDefaultTag));
  if (wanted.tag.empty() && version.version != name)
    return fail(EINVAL, fmt::format("{} is a tag: give it with --tag, or the version {} itself",
                                    printable(name, 128), version.version));
  if (!wanted.tag.empty() && catalog.at(wanted.image, name).empty())
    return fail(EINVAL, fmt::format("{} is a version: give it with --version", name));
  return version.version;
}

ExitCode desktop_create(Shell& shell, DesktopOptions options) {
  PANAL_CLI_ASSIGN(shell, const auto names, expand_names(options.pattern, options.count));
  store::Desktop& wanted = options.desktop;
  if (wanted.tenant.empty()) wanted.tenant = kDefaultTenant;
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto user, store->find_user(wanted.tenant, wanted.login));
  if (!user) return shell.refuse(ExitCode::kNotFound, no_such_user(wanted.tenant, wanted.login));
  PANAL_CLI_ASSIGN(shell, const auto catalog, ImageCatalog::read(*store));
  PANAL_CLI_TRY(shell, catalog.image(wanted.image));
  PANAL_CLI_ASSIGN(shell, const auto source, source_of(catalog, wanted));
  if (wanted.tag == store::kDefaultTag) wanted.tag.clear();
  PANAL_CLI_ASSIGN(shell, const auto desktops, store->desktops());
  for (const auto& desktop : desktops) {
    if (desktop.tenant != wanted.tenant) continue;
    if (std::find(names.begin(), names.end(), desktop.name) == names.end()) continue;
    return shell.refuse(ExitCode::kRefused,
                        fmt::format("desktop {} exists already (id {}, of {}); nothing was created",
                                    desktop.name, desktop.id, desktop.login));
  }
  // Two desktops cannot write one home at a time: numbered ones get homes of their own.
  const bool own_homes = names.size() > 1 && wanted.home.empty();
  if (wanted.home.empty()) wanted.home = wanted.login;
  if (options.dry_run) {
    shell.out << fmt::format(
        "would create {} for {} from image {} {}, {}\n",
        names.size() == 1 ? names[0] : fmt::format("{} desktops", names.size()), wanted.login,
        wanted.image, source, wanted.persistent ? "persistent" : "volatile");
    return ExitCode::kOk;
  }
  for (const auto& name : names) {
    wanted.name = name;
    if (own_homes) wanted.home = name;
    PANAL_CLI_ASSIGN(shell, const auto added, store->add_desktop(wanted));
    shell.out << fmt::format("desktop {} created (id {})\n", added.name, added.id);
  }
  return ExitCode::kOk;
}

/// The desktops that the words (or --all) mean, or the exit code of what was wrong.
Result<std::vector<store::Desktop>> chosen(Shell& shell, const DesktopOptions& options) {
  if (options.names.empty() == !options.all) {
    return fail(EINVAL, "name the desktops, or say --all");
  }
  PANAL_ASSIGN(const auto store, shell.backends.store(shell.config));
  PANAL_ASSIGN(auto desktops, store->desktops());
  if (options.all) {
    if (!options.tenant.empty()) {
      std::erase_if(desktops, [&](const auto& d) { return d.tenant != options.tenant; });
    }
    return desktops;
  }
  std::vector<store::Desktop> out;
  for (const auto& word : options.names) {
    PANAL_ASSIGN(auto desktop, resolve_desktop(desktops, word, options.tenant));
    const bool twice = std::any_of(out.begin(), out.end(),
                                   [&](const auto& other) { return other.id == desktop.id; });
    if (!twice) out.push_back(std::move(desktop));
  }
  return out;
}

ExitCode desktop_drive(Shell& shell, const DesktopOptions& options, store::Desired desired) {
  PANAL_CLI_ASSIGN(shell, const auto desktops, chosen(shell, options));
  if (options.dry_run) {
    for (const auto& d : desktops) {
      shell.out << fmt::format("would {} {} (id {}, now {})\n",
                               desired == store::Desired::kRunning ? "start" : "stop", d.name, d.id,
                               store::to_string(d.observed));
    }
    return ExitCode::kOk;
  }
  const std::uint32_t own = desired == store::Desired::kRunning ? shell.config.start_timeout_seconds
                                                                : shell.config.stop_grace_seconds;
  const seconds stall(options.timeout != 0 ? options.timeout : own + 30);
  return drive_desktops(shell, desktops, desired, !options.no_wait, stall);
}

ExitCode desktop_set(Shell& shell, const DesktopOptions& options) {
  const store::Desktop& wanted = options.desktop;
  if (wanted.version.empty() && wanted.tag.empty())
    return shell.refuse(ExitCode::kUsage,
                        "say --tag TAG (default: what is published), or "
                        "--version VERSION");
  PANAL_CLI_ASSIGN(shell, const auto desktops, chosen(shell, options));
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto catalog, ImageCatalog::read(*store));
  // All are looked at before the first is changed.
  for (store::Desktop desktop : desktops) {
    desktop.version = wanted.version;
    desktop.tag = wanted.tag;
    PANAL_CLI_TRY(shell, source_of(catalog, desktop));
  }
  const bool usual = wanted.tag == store::kDefaultTag;
  for (const auto& d : desktops) {
    const std::string& name = wanted.version.empty() ? wanted.tag : wanted.version;
    if (!options.dry_run)
      PANAL_CLI_TRY(
          shell, store->set_source(d.id, wanted.version, usual ? "" : wanted.tag, operator_name()));
    shell.out << fmt::format("{} {} {}:{} from its next start on\n", d.name,
                             options.dry_run ? "would take" : "takes", d.image, name);
  }
  return ExitCode::kOk;
}

ExitCode desktop_ls(Shell& shell, const DesktopOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto desktops, store->desktops());
  auto list = nlohmann::json::array();
  Table table({">ID", "NAME", "USER", "IMAGE", "STATE", "SESSION", "NODE", "SINCE", "REASON"});
  for (const auto& d : desktops) {
    if (!options.tenant.empty() && d.tenant != options.tenant) continue;
    if (options.json) {
      list.push_back(desktop_json(d));
      continue;
    }
    const bool wanted =
        (d.desired == store::Desired::kRunning) == (d.observed == store::Observed::kRunning);
    const std::string state =
        std::string(store::to_string(d.observed)) +
        (wanted ? "" : fmt::format(" (want {})", store::to_string(d.desired)));
    table.add_row({std::to_string(d.id), d.name, d.login, d.image, state, d.session_state, d.node,
                   d.changed, first_line(d.reason)});
  }
  if (options.json)
    shell.print(list);
  else
    table.print(shell.out);
  return ExitCode::kOk;
}

ExitCode desktop_show(Shell& shell, const DesktopOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto desktops, chosen(shell, options));
  const auto& desktop = desktops.front();
  nlohmann::json facts = desktop_json(desktop);
  facts["pid"] = nullptr;
  if (desktop.node == shell.config.node_name || desktop.node.empty()) {
    facts["run_dir"] = shell.config.desktop_run_dir(desktop.id);
    facts["log_dir"] = shell.config.desktop_state_dir(desktop.id) + "/log";
    facts["home_dir"] =
        fmt::format("{}/{}/{}", shell.config.homes_dir, desktop.tenant, desktop.home);
    // The kernel's side, where panald is there to tell it.
    const auto stats = shell.backends.ask_node(
        shell.config, {{"op", "stats"}, {"desktop", desktop.id}}, seconds(5));
    if (stats && stats->contains("desktops") && stats->at("desktops").is_array()) {
      for (const auto& one : stats->at("desktops")) {
        if (!one.is_object() || one.value("id", DesktopId{0}) != desktop.id) continue;
        for (const auto& [key, value] : one.items()) {
          // The store's word on the session is as old as the last change it was told.
          if (!facts.contains(key) || key == "pid" || key == "session" || key == "idle_ms") {
            facts[key] = value;
          }
        }
      }
    }
  }
  if (options.json) {
    shell.print(facts);
    return ExitCode::kOk;
  }
  for (const auto& [key, value] : facts.items()) {
    std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    std::size_t begin = 0;
    do {
      const auto end = std::min(text.find('\n', begin), text.size());
      shell.out << fmt::format("{:18}{}\n", begin == 0 ? key : "",
                               printable(std::string_view(text).substr(begin, end - begin), 2000));
      begin = end + 1;
    } while (begin < text.size());
  }
  return ExitCode::kOk;
}

ExitCode desktop_logs(Shell& shell, const DesktopOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto desktops, chosen(shell, options));
  const auto& desktop = desktops.front();
  if (!desktop.node.empty() && desktop.node != shell.config.node_name) {
    return shell.refuse(ExitCode::kRefused,
                        fmt::format("the logs of {} are on node {}", desktop.name, desktop.node));
  }
  if (desktop.observed == store::Observed::kFailed) {
    shell.out << "==> why it failed <==\n";
    print_lines(shell.out, desktop.reason);
  }
  const std::string directory = shell.config.desktop_state_dir(desktop.id) + "/log";
  return print_logs(shell, directory, options.lines, options.follow);
}

ExitCode desktop_rm(Shell& shell, const DesktopOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto desktops, chosen(shell, options));
  for (const auto& d : desktops) {
    if (d.observed != store::Observed::kStopped && d.observed != store::Observed::kFailed) {
      return shell.refuse(ExitCode::kRefused,
                          fmt::format("desktop {} is {}; panal desktop stop {} first; nothing was "
                                      "removed",
                                      d.name, store::to_string(d.observed), d.name));
    }
  }
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  for (const auto& d : desktops) {
    if (options.dry_run) {
      shell.out << fmt::format("would remove {} (id {}) and its writable layer; home {} stays\n",
                               d.name, d.id, d.home);
      continue;
    }
    if (d.desired == store::Desired::kRunning) {
      PANAL_CLI_TRY(shell, store->set_desired(d.id, store::Desired::kStopped, "panal"));
    }
    PANAL_CLI_TRY(shell, store->remove_desktop(d.id));
    if (d.node.empty() || d.node == shell.config.node_name) {
      PANAL_CLI_TRY(shell, erase_desktop_dirs(shell.config, d.id));
    }
    shell.out << fmt::format("desktop {} removed; home {} stays\n", d.name, d.home);
  }
  return ExitCode::kOk;
}

ExitCode desktop_suspend(Shell& shell, const DesktopOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto desktops, chosen(shell, options));
  for (const auto& d : desktops) {
    if (options.all && d.observed != store::Observed::kRunning) continue;
    if (options.dry_run) {
      shell.out << fmt::format("would end the link to {}; its programs stay\n", d.name);
      continue;
    }
    PANAL_CLI_TRY(shell, shell.backends.ask_node(
                             shell.config, {{"op", "suspend"}, {"desktop", d.id}}, seconds(30)));
    shell.out << fmt::format("{} suspended\n", d.name);
  }
  return ExitCode::kOk;
}

/// One verb of the family.
class Family {
 public:
  using Handler = ExitCode (*)(Shell&, const DesktopOptions&);
  Family(CLI::App& parent, Action& action)
      : parent_(parent), action_(action), options(std::make_shared<DesktopOptions>()) {}

  CLI::App& verb(const std::string& name, const std::string& help, Handler handler) {
    auto* command = parent_.add_subcommand(name, help);
    command->add_option("--tenant", options->tenant, "only desktops of this tenant");
    command->callback([&action = action_, kept = options, handler] {
      action = [kept, handler](Shell& shell) { return handler(shell, *kept); };
    });
    return *command;
  }
  void names(CLI::App& command, bool many) const {
    if (!many) {
      command.add_option("NAME", options->names, "name or id")->required()->expected(1);
      return;
    }
    command.add_option("NAME", options->names, "names or ids");
    command.add_flag("--all", options->all, "all desktops");
  }
  void dry_run(CLI::App& command) const {
    command.add_flag("--dry-run", options->dry_run, "say what would be done, change nothing");
  }
  void json(CLI::App& command) const { command.add_flag("--json", options->json, "as JSON"); }
  void waiting(CLI::App& command) const {
    command.add_flag("--no-wait,!--wait", options->no_wait, "do not wait until they are there");
    command
        .add_option("--timeout", options->timeout, "give up after so many seconds without change")
        ->check(CLI::Range(1U, 86400U));
  }

 private:
  CLI::App& parent_;
  Action& action_;

 public:
  std::shared_ptr<DesktopOptions> options;
};

}  // namespace

void add_desktop_commands(CLI::App& app, Action& action) {
  Family family(*app.add_subcommand("desktop", "The desktops themselves."), action);
  auto& options = *family.options;

  auto& create = family.verb("create", "Create desktops (stopped).",
                             [](Shell& shell, const DesktopOptions& chosen_options) {
                               DesktopOptions copy = chosen_options;
                               copy.desktop.tenant = copy.tenant;
                               return desktop_create(shell, std::move(copy));
                             });
  create.add_option("NAME", options.pattern, "name; with %d for --count")->required();
  create.add_option("--user", options.desktop.login, "whose it is")->required();
  create.add_option("--image", options.desktop.image, "image it starts from")->required();
  create.add_option("--version", options.desktop.version,
                    "keep to this version (default: what is published at each start)");
  create.add_option("--tag", options.desktop.tag, "follow this tag at each start");
  create.add_flag("--persistent", options.desktop.persistent, "keep changes outside the home");
  create.add_option("--home", options.desktop.home, "name of the home (default: the login)");
  create.add_option("--count", options.count, "how many")->check(CLI::Range(1U, 10000U));
  family.dry_run(create);

  auto& start = family.verb("start", "Start desktops and wait until they run.",
                            [](Shell& shell, const DesktopOptions& o) {
                              return desktop_drive(shell, o, store::Desired::kRunning);
                            });
  family.names(start, true);
  family.waiting(start);
  family.dry_run(start);
  auto& stop = family.verb("stop", "Stop desktops; volatile data is discarded, homes stay.",
                           [](Shell& shell, const DesktopOptions& o) {
                             return desktop_drive(shell, o, store::Desired::kStopped);
                           });
  family.names(stop, true);
  family.waiting(stop);
  family.dry_run(stop);

  auto& set = family.verb("set", "Say what desktops take at their next starts.", desktop_set);
  family.names(set, true);
  set.add_option("--version", options.desktop.version, "keep to this version");
  set.add_option("--tag", options.desktop.tag, "follow this tag; default: what is published");
  family.dry_run(set);

  family.json(family.verb("ls", "List desktops.", desktop_ls));
  auto& show = family.verb("show", "All that is known of a desktop.", desktop_show);
  family.names(show, false);
  family.json(show);
  auto& logs = family.verb("logs", "The last lines of a desktop's logs.", desktop_logs);
  family.names(logs, false);
  logs.add_option("-n,--lines", options.lines, "how many of each log")
      ->check(CLI::Range(1U, 10000U));
  logs.add_flag("-f,--follow", options.follow, "go on with what is added");
  auto& rm = family.verb("rm", "Remove stopped desktops; homes stay.", desktop_rm);
  family.names(rm, true);
  family.dry_run(rm);
  auto& suspend =
      family.verb("suspend", "End the link to a desktop; its programs stay.", desktop_suspend);
  family.names(suspend, true);
  family.dry_run(suspend);
}

}  // namespace panal::cli
