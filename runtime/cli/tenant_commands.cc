#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/names.h"
#include "runtime/cli/table.h"

namespace panal::cli {
namespace {

struct TenantOptions {
  std::string name, share_memory;
  bool dry_run = false, json = false;
};

const char* yes_or_no(bool value) { return value ? "yes" : "no"; }

ExitCode tenant_ls(Shell& shell, const TenantOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto tenants, store->tenants());
  PANAL_CLI_ASSIGN(shell, const auto users, store->users());
  PANAL_CLI_ASSIGN(shell, const auto desktops, store->desktops());
  const auto of = [](const auto& list, const std::string& tenant) {
    return std::count_if(list.begin(), list.end(),
                         [&tenant](const auto& one) { return one.tenant == tenant; });
  };
  if (options.json) {
    auto list = nlohmann::json::array();
    for (const store::Tenant& tenant : tenants)
      list.push_back({{"name", tenant.name},
                      {"share_memory", tenant.share_memory},
                      {"users", of(users, tenant.name)},
                      {"desktops", of(desktops, tenant.name)}});
    shell.print(list);
    return ExitCode::kOk;
  }
  Table table({"TENANT", ">USERS", ">DESKTOPS", "SHARES MEMORY"});
  for (const store::Tenant& tenant : tenants)
    table.add_row({tenant.name, std::to_string(of(users, tenant.name)),
                   std::to_string(of(desktops, tenant.name)), yes_or_no(tenant.share_memory)});
  table.print(shell.out);
  return ExitCode::kOk;
}

ExitCode tenant_set(Shell& shell, const TenantOptions& options) {
  PANAL_CLI_TRY(shell, check_tenant(options.name));
  const bool agreed = options.share_memory == "yes";
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto tenants, store->tenants());
  const auto found =
      std::find_if(tenants.begin(), tenants.end(),
                   [&options](const store::Tenant& one) { return one.name == options.name; });
  if (found == tenants.end())
    return shell.refuse(
        ExitCode::kNotFound,
        fmt::format("there is no tenant {}; panal tenant ls shows all", printable(options.name)));
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

void add_tenant_commands(CLI::App& app, Action& action) {
  auto* family = app.add_subcommand("tenant", "Whose desktops have something in common.");
  const auto options = std::make_shared<TenantOptions>();

  auto* ls = family->add_subcommand("ls", "List tenants.");
  ls->add_flag("--json", options->json, "as JSON");
  ls->callback([&action, options] {
    action = [options](Shell& shell) { return tenant_ls(shell, *options); };
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
