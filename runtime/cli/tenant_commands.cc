#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/names.h"
#include "runtime/cli/table.h"
#include "runtime/cli/users.h"
#include "storage/home/home_store.h"

namespace panal::cli {
namespace {

struct TenantOptions {
  std::string name, share_memory;
  bool dry_run = false, json = false;
};

const char* yes_or_no(bool value) { return value ? "yes" : "no"; }

template <typename List>
std::size_t count_of(const List& list, const std::string& tenant) {
  return static_cast<std::size_t>(std::count_if(
      list.begin(), list.end(), [&tenant](const auto& one) { return one.tenant == tenant; }));
}

ExitCode tenant_ls(Shell& shell, const TenantOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto tenants, store->tenants());
  PANAL_CLI_ASSIGN(shell, const auto users, store->users());
  PANAL_CLI_ASSIGN(shell, const auto desktops, store->desktops());
  if (options.json) {
    auto list = nlohmann::json::array();
    for (const store::Tenant& tenant : tenants)
      list.push_back({{"name", tenant.name},
                      {"share_memory", tenant.share_memory},
                      {"users", count_of(users, tenant.name)},
                      {"desktops", count_of(desktops, tenant.name)}});
    shell.print(list);
    return ExitCode::kOk;
  }
  Table table({"TENANT", ">USERS", ">DESKTOPS", "SHARES MEMORY"});
  for (const store::Tenant& tenant : tenants)
    table.add_row({tenant.name, std::to_string(count_of(users, tenant.name)),
                   std::to_string(count_of(desktops, tenant.name)),
                   yes_or_no(tenant.share_memory)});
  table.print(shell.out);
  return ExitCode::kOk;
}

auto find_tenant(const std::vector<store::Tenant>& tenants, const std::string& name) {
  return std::find_if(tenants.begin(), tenants.end(),
                      [&name](const store::Tenant& one) { return one.name == name; });
}

ExitCode tenant_add(Shell& shell, const TenantOptions& options) {
  PANAL_CLI_TRY(shell, check_tenant(options.name));
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto tenants, store->tenants());
  if (find_tenant(tenants, options.name) != tenants.end())
    return shell.refuse(ExitCode::kRefused, fmt::format("tenant {} exists already", options.name));
  if (options.dry_run) {
    shell.out << fmt::format("would add tenant {}\n", options.name);
    return ExitCode::kOk;
  }
  PANAL_CLI_TRY(shell, store->add_tenant(options.name, "panal"));
  shell.out << fmt::format("tenant {} added; panal user add LOGIN --tenant {} gives it users\n",
                           options.name, options.name);
  return ExitCode::kOk;
}

/// "2 users, 1 desktop and 3 homes in /var/lib/panal/homes/acme"; empty when there is nothing.
std::string what_is_left(std::size_t users, std::size_t desktops, std::size_t homes,
                         const std::string& homes_dir) {
  std::vector<std::string> parts;
  const auto add = [&parts](std::size_t count, std::string_view one, std::string_view more) {
    if (count > 0)
      parts.push_back(fmt::format("{} {}{}{}", count, one, count == 1 ? "" : "s", more));
  };
  add(users, "user", "");
  add(desktops, "desktop", "");
  add(homes, "home", " in " + homes_dir);
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i)
    text += (i == 0 ? "" : i + 1 == parts.size() ? " and " : ", ") + parts[i];
  return text;
}

ExitCode tenant_rm(Shell& shell, const TenantOptions& options) {
  PANAL_CLI_TRY(shell, check_tenant(options.name));
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto tenants, store->tenants());
  if (find_tenant(tenants, options.name) == tenants.end())
    return shell.refuse(ExitCode::kNotFound, no_such_tenant(options.name));
  if (options.name == kDefaultTenant)
    return shell.refuse(
        ExitCode::kRefused,
        fmt::format("tenant {} stays: it is that of users added without --tenant", options.name));
  PANAL_CLI_ASSIGN(shell, const auto users, store->users());
  PANAL_CLI_ASSIGN(shell, const auto desktops, store->desktops());
  const storage::HomeStore homes(shell.config.homes_dir);
  PANAL_CLI_ASSIGN(shell, const auto of_tenant, homes.homes_of(options.name));
  const std::string left =
      what_is_left(count_of(users, options.name), count_of(desktops, options.name),
                   of_tenant.size(), shell.config.homes_dir + "/" + options.name);
  if (!left.empty())
    return shell.refuse(ExitCode::kRefused,
                        fmt::format("tenant {} still has {}; remove them first (panal desktop rm, "
                                    "panal user rm, panal home rm)",
                                    options.name, left));
  if (options.dry_run) {
    shell.out << fmt::format("would remove tenant {}\n", options.name);
    return ExitCode::kOk;
  }
  PANAL_CLI_TRY(shell, store->remove_tenant(options.name, "panal"));
  shell.out << fmt::format("tenant {} removed\n", options.name);
  return ExitCode::kOk;
}

ExitCode tenant_set(Shell& shell, const TenantOptions& options) {
  PANAL_CLI_TRY(shell, check_tenant(options.name));
  const bool agreed = options.share_memory == "yes";
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto tenants, store->tenants());
  const auto found = find_tenant(tenants, options.name);
  if (found == tenants.end())
    return shell.refuse(ExitCode::kNotFound, no_such_tenant(options.name));
  if (found->share_memory == agreed) {
    shell.out << fmt::format("tenant {}: share_memory is {} already\n", options.name,
                             yes_or_no(agreed));
    return ExitCode::kOk;
  }
  const char* const when = "desktops that run keep what they were started with";
  if (options.dry_run) {
    shell.out << fmt::format("would set share_memory of tenant {} to {} (now {}); {}\n",
                             options.name, yes_or_no(agreed), yes_or_no(!agreed), when);
    return ExitCode::kOk;
  }
  PANAL_CLI_TRY(shell, store->set_share_memory(options.name, agreed, "panal"));
  shell.out << fmt::format("tenant {}: share_memory is {}; {}\n", options.name, yes_or_no(agreed),
                           when);
  return ExitCode::kOk;
}

}  // namespace

std::string no_such_tenant(const std::string& name) {
  return fmt::format("there is no tenant {}; panal tenant ls shows all, panal tenant add makes one",
                     printable(name, 80));
}

void add_tenant_commands(CLI::App& app, Action& action) {
  auto* family = app.add_subcommand("tenant", "Whose desktops have something in common.");
  const auto options = std::make_shared<TenantOptions>();

  auto* ls = family->add_subcommand("ls", "List tenants.");
  ls->add_flag("--json", options->json, "as JSON");
  ls->callback([&action, options] {
    action = [options](Shell& shell) { return tenant_ls(shell, *options); };
  });

  auto* add = family->add_subcommand("add", "Add a tenant; it has no users at first.");
  add->add_option("NAME", options->name, "[a-z0-9][a-z0-9_-]{0,31}")->required();
  add->add_flag("--dry-run", options->dry_run, "say what would be done, change nothing");
  add->callback([&action, options] {
    action = [options](Shell& shell) { return tenant_add(shell, *options); };
  });

  auto* rm = family->add_subcommand("rm", "Remove a tenant without users, desktops and homes.");
  rm->add_option("NAME", options->name, "tenant")->required();
  rm->add_flag("--dry-run", options->dry_run, "say what would be done, change nothing");
  rm->callback([&action, options] {
    action = [options](Shell& shell) { return tenant_rm(shell, *options); };
  });

  auto* set = family->add_subcommand("set", "Write down what a tenant has agreed to.");
  set->add_option("TENANT", options->name, "tenant")->required();
  set->add_option("--share-memory", options->share_memory,
                  "whether equal memory of its desktops may be merged where the tuning profile "
                  "says enlist = \"consent\"")
      ->required()
      ->check(CLI::IsMember({"yes", "no"}));
  set->add_flag("--dry-run", options->dry_run, "say what would be done, change nothing");
  set->callback([&action, options] {
    action = [options](Shell& shell) { return tenant_set(shell, *options); };
  });
}

}  // namespace panal::cli
