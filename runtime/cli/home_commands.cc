// `panal home`: the homes of this node.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/base/log.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/homes.h"
#include "runtime/cli/names.h"
#include "runtime/cli/table.h"
#include "runtime/cli/users.h"
#include "runtime/config/schema.h"
#include "storage/quota/probe.h"

namespace panal::cli {
namespace {

/// What limits would be held by here, and why.
ExitCode explain_quotas(Shell& shell, const HomeOptions& options) {
  if (::geteuid() != 0)
    return shell.refuse(ExitCode::kNotAllowed,
                        "quotas are tried out, which needs root: run it with sudo");
  const auto plan = home_plan(shell.config, true);
  if (!plan) return shell.told(plan.error());
  const auto layers =
      space::plan_layers(shell.config, space::layers_want_probe(shell.config)
                                           ? storage::probe_quotas(shell.config.desktops_root())
                                           : std::vector<storage::QuotaFinding>());
  std::vector<storage::QuotaFinding> findings;
  if (!plan->remote) findings = storage::probe_quotas(shell.config.homes_dir);
  if (options.json) {
    auto tried = nlohmann::json::array();
    for (const auto& one : findings)
      tried.push_back({{"quota", std::string(storage::to_string(one.kind))},
                       {"works", one.works},
                       {"why", one.why}});
    shell.print({{"homes",
                  {{"directory", shell.config.homes_dir},
                   {"file_system", plan->place},
                   {"remote", plan->remote},
                   {"quota", std::string(storage::to_string(plan->rules.quota))},
                   {"why", plan->why},
                   {"tried", tried}}},
                 {"layers",
                  {{"directory", shell.config.desktops_root()},
                   {"persistent", std::string(storage::to_string(layers.rules.persistent))},
                   {"volatile", std::string(storage::to_string(layers.rules.volatiles))},
                   {"why", layers.why}}}});
    return ExitCode::kOk;
  }
  shell.out << fmt::format("homes   {} on {}{}\n", shell.config.homes_dir, plan->place,
                           plan->remote ? ", which may hang" : "");
  shell.out << fmt::format("        new ones: {} ({})\n", storage::to_string(plan->rules.quota),
                           plan->why);
  for (const auto& one : findings)
    shell.out << fmt::format("        {:8} {}: {}\n", storage::to_string(one.kind),
                             one.works ? "works" : "does not", printable(one.why, 400));
  shell.out << fmt::format("layers  {}: persistent {}, volatile {} ({})\n",
                           shell.config.desktops_root(),
                           storage::to_string(layers.rules.persistent),
                           storage::to_string(layers.rules.volatiles), layers.why);
  return ExitCode::kOk;
}

ExitCode home_quota(Shell& shell, const HomeOptions& options) {
  const bool change = !options.limit.empty() || options.inodes_given;
  if (options.home.empty()) {
    if (change) return shell.refuse(ExitCode::kUsage, "say whose limit: panal home quota HOME");
    return explain_quotas(shell, options);
  }
  if (!change) return home_show(shell, options);
  storage::HomeStore homes(shell.config.homes_dir, {shell.config.node_name, {}, {}});
  const auto info = homes.info(options.tenant, options.home, false);
  if (!info) return told_of_home(shell, info.error());
  storage::SpaceLimit limit = info->use ? info->use->limit : storage::SpaceLimit{};
  if (!options.limit.empty()) {
    PANAL_CLI_ASSIGN(shell, limit.bytes, config::parse_size(options.limit));
  }
  if (options.inodes_given) limit.inodes = options.inodes;
  const std::string words = fmt::format(
      "{} and {} files", limit.bytes == 0 ? "any number of bytes" : human_bytes(limit.bytes),
      limit.inodes == 0 ? "any number of" : std::to_string(limit.inodes));
  if (options.dry_run) {
    shell.out << fmt::format("would let home {} take {}\n", options.home, words);
    return ExitCode::kOk;
  }
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  // One that is only counted may be in use; one in a file may not, and its lock says so.
  storage::HomeOwner owner{"quota-" + std::to_string(::getpid()), shell.config.node_name};
  std::optional<HomeHold> hold;
  if (info->quota == storage::QuotaKind::kLoop) {
    auto taken = HomeHold::take(*store, shell.config, options, "quota");
    if (!taken) return told_of_home(shell, taken.error());
    hold.emplace(std::move(*taken));
    owner = hold->owner();
  }
  const auto set = homes.set_limit(options.tenant, options.home, limit, owner);
  if (!set) return told_of_home(shell, set.error());
  (void)store->audit("panal", "home.quota", options.tenant + "/" + options.home, words);
  shell.out << fmt::format("home {} may take {}\n", options.home, words);
  return ExitCode::kOk;
}

std::string name_by_time() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  const std::size_t length = std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts);
  return {text, length};
}

ExitCode home_snapshot(Shell& shell, const HomeOptions& options) {
  storage::HomeStore homes(shell.config.homes_dir, {shell.config.node_name, {}, {}});
  const auto info = homes.info(options.tenant, options.home, false);
  if (!info) return told_of_home(shell, info.error());
  if (options.list) {
    if (options.json)
      shell.print(info->snapshots);
    else
      for (const auto& name : info->snapshots) shell.out << printable(name, 80) << "\n";
    return ExitCode::kOk;
  }
  const std::string name = options.snapshot.empty() ? name_by_time() : options.snapshot;
  if (options.remove && options.snapshot.empty())
    return shell.refuse(ExitCode::kUsage, "say which snapshot to remove");
  if (options.dry_run) {
    shell.out << fmt::format("would {} snapshot {} of home {}\n",
                             options.remove ? "remove" : "make", name, options.home);
    return ExitCode::kOk;
  }
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  if (options.remove) {
    const auto removed = homes.remove_snapshot(options.tenant, options.home, name);
    if (!removed) return told_of_home(shell, removed.error());
    shell.out << fmt::format("snapshot {} of home {} removed\n", name, options.home);
    return ExitCode::kOk;
  }
  std::optional<HomeHold> hold;
  if (info->quota == storage::QuotaKind::kLoop) {
    auto taken = HomeHold::take(*store, shell.config, options, "snapshot");
    if (!taken) return told_of_home(shell, taken.error());
    hold.emplace(std::move(*taken));
  }
  const auto made = homes.snapshot(options.tenant, options.home, name,
                                   hold ? hold->owner() : storage::HomeOwner{});
  if (!made) return told_of_home(shell, made.error());
  (void)store->audit("panal", "home.snapshot", options.tenant + "/" + options.home, name);
  shell.out << fmt::format("snapshot {} of home {} made\n", name, options.home);
  return ExitCode::kOk;
}

ExitCode home_rm(Shell& shell, const HomeOptions& options) {
  storage::HomeStore homes(shell.config.homes_dir, {shell.config.node_name, {}, {}});
  const auto info = homes.info(options.tenant, options.home, false);
  if (!info) return told_of_home(shell, info.error());
  if (options.dry_run) {
    shell.out << fmt::format("would delete home {} of tenant {} and its {} snapshots\n",
                             options.home, options.tenant, info->snapshots.size());
    return ExitCode::kOk;
  }
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  const auto hold = HomeHold::take(*store, shell.config, options, "deletion");
  if (!hold) return told_of_home(shell, hold.error());
  const auto removed = homes.remove(options.tenant, options.home);
  if (!removed) return told_of_home(shell, removed.error());
  (void)store->audit("panal", "home.rm", options.tenant + "/" + options.home, "");
  shell.out << fmt::format("home {} of tenant {} deleted\n", options.home, options.tenant);
  return ExitCode::kOk;
}

/// Both locks: the lease of the whole farm, and the file beside the home, where this node sees it.
ExitCode home_unlock(Shell& shell, const HomeOptions& options) {
  PANAL_CLI_TRY(shell, storage::check_home_names(options.tenant, options.home));
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  storage::HomeStore homes(shell.config.homes_dir);
  const auto info = homes.info(options.tenant, options.home, false);
  const bool locked = info && info->owner;
  if (options.dry_run) {
    const Leases leases = leases_of(shell);
    const auto found = leases.find({options.tenant, options.home});
    if (found == leases.end() && !locked)
      return shell.refuse(ExitCode::kNotFound,
                          fmt::format("nobody has home {}", printable(options.home, 80)));
    if (found != leases.end())
      shell.out << fmt::format("would take home {} from {} on node {}\n", options.home,
                               found->second.holder, found->second.node);
    if (locked) shell.out << fmt::format("would remove the lock of {}\n", info->owner->text());
    return ExitCode::kOk;
  }
  const auto lease = store->homes().unlock(options.tenant, options.home, "panal");
  if (!lease && !(lease.error().code == ENOENT && locked)) return shell.told(lease.error());
  if (lease)
    shell.out << fmt::format(
        "{} on node {} had home {} since {}, and is ended there if it still "
        "runs\n",
        lease->holder, lease->node, options.home, lease->taken);
  if (locked) {
    const auto owner = homes.unlock(options.tenant, options.home);
    if (!owner && owner.error().code != ENOENT) return told_of_home(shell, owner.error());
    if (owner) shell.out << fmt::format("removed the lock of {}\n", owner->text());
  }
  shell.out << fmt::format("home {} is free\n", options.home);
  return ExitCode::kOk;
}

/// One verb: its options, and what it does.
using Handler = ExitCode (*)(Shell&, const HomeOptions&);

class HomeFamily {
 public:
  HomeFamily(CLI::App& parent, Action& action) : parent_(parent), action_(action) {}

  /// `one`: it is about one home, of the default tenant unless told.
  CLI::App& verb(const std::string& name, const std::string& help, bool one, Handler handler) {
    auto* command = parent_.add_subcommand(name, help);
    if (one) command->add_option("HOME", options->home, "its name")->required();
    command->add_option("--tenant", options->tenant, "whose home it is");
    command->callback([&action = action_, kept = options, handler, name] {
      action = [kept, handler, name](Shell& shell) {
        HomeOptions chosen = *kept;
        if (chosen.tenant.empty() && name != "ls") chosen.tenant = kDefaultTenant;
        return handler(shell, chosen);
      };
    });
    return *command;
  }
  void json(CLI::App& command) const { command.add_flag("--json", options->json, "as JSON"); }
  void dry_run(CLI::App& command) const {
    command.add_flag("--dry-run", options->dry_run, "say what would be done, change nothing");
  }
  void measure(CLI::App& command) const {
    command.add_flag("--measure", options->measure,
                     "walk through homes whose use nothing counts; may take minutes");
  }

 private:
  CLI::App& parent_;
  Action& action_;

 public:
  std::shared_ptr<HomeOptions> options = std::make_shared<HomeOptions>();
};

}  // namespace

void add_home_commands(CLI::App& app, Action& action) {
  HomeFamily family(*app.add_subcommand("home", "Users' homes on this node."), action);
  HomeOptions& options = *family.options;

  auto& ls = family.verb("ls", "List homes.", false, home_ls);
  family.json(ls);
  family.measure(ls);
  auto& show = family.verb("show", "All that is known of a home.", true, home_show);
  family.json(show);
  family.measure(show);

  auto& quota = family.verb("quota", "What homes may take; without HOME, what limits them here.",
                            false, home_quota);
  quota.add_option("HOME", options.home, "its name");
  quota.add_option("--limit", options.limit, "bytes, such as \"5 GiB\"; 0: as much as there is");
  quota.add_option("--inodes", options.inodes, "files and directories; 0: any number")
      ->each([&options](const std::string&) { options.inodes_given = true; });
  family.json(quota);
  family.measure(quota);
  family.dry_run(quota);

  auto& snapshot = family.verb("snapshot", "Keep a home as it is now (btrfs, or homes in files).",
                               true, home_snapshot);
  snapshot.add_option("NAME", options.snapshot, "of the snapshot (default: the time)");
  auto* list = snapshot.add_flag("--ls", options.list, "list them instead");
  snapshot.add_flag("--rm", options.remove, "remove it instead")->excludes(list);
  family.json(snapshot);
  family.dry_run(snapshot);

  auto& backup = family.verb("backup", "Write a home as one stream (tar.zst with a checksum).",
                             true, home_backup);
  backup.add_option("-o,--output", options.file, "file, or - for stdout")->required();
  backup.add_option("--snapshot", options.snapshot, "of this snapshot");
  family.json(backup);
  family.dry_run(backup);

  auto& restore =
      family.verb("restore", "Make a home of a backup, whole or not at all.", true, home_restore);
  restore.add_option("FILE", options.file, "of `panal home backup`, or - for stdin")->required();
  restore.add_flag("--replace", options.replace, "in the place of the home that is there");
  family.json(restore);
  family.dry_run(restore);

  family.dry_run(family.verb("rm", "Delete a home for good.", true, home_rm));
  family.dry_run(family.verb("unlock",
                             "Take a home from a node that is gone for good; the next may open it.",
                             true, home_unlock));
}

}  // namespace panal::cli
