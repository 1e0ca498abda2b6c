// `panal home ls` and `show`.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "runtime/cli/homes.h"
#include "runtime/cli/table.h"

namespace panal::cli {
namespace {

const store::HomeLease* lease_of(const Leases& leases, const storage::HomeInfo& info) {
  const auto found = leases.find({info.tenant, info.home});
  return found == leases.end() ? nullptr : &found->second;
}

std::string user_of(const Leases& leases, const storage::HomeInfo& info) {
  if (const auto* lease = lease_of(leases, info))
    return lease->holder + "@" + lease->node + (lease->expired ? " (expired)" : "");
  return info.owner ? info.owner->text() + " (lock only)" : std::string();
}

std::string limit_text(std::uint64_t value, bool bytes) {
  if (value == 0) return "-";
  return bytes ? human_bytes(value) : std::to_string(value);
}

nlohmann::json home_json(const storage::HomeInfo& info, const Leases& leases) {
  nlohmann::json out = {{"tenant", info.tenant},
                        {"home", info.home},
                        {"quota", std::string(storage::to_string(info.quota))},
                        {"snapshots", info.snapshots}};
  out["lock"] = info.owner ? nlohmann::json(info.owner->text()) : nlohmann::json();
  if (const auto* lease = lease_of(leases, info))
    out["lease"] = {{"node", lease->node},       {"holder", lease->holder},
                    {"taken", lease->taken},     {"renewed", lease->renewed},
                    {"expires", lease->expires}, {"expired", lease->expired}};
  else
    out["lease"] = nullptr;
  if (!info.use) {
    out["unseen"] = info.why_unseen;
    return out;
  }
  out["bytes"] = info.use->bytes;
  out["inodes"] = info.use->inodes ? nlohmann::json(*info.use->inodes) : nlohmann::json();
  out["limit_bytes"] = info.use->limit.bytes;
  out["limit_inodes"] = info.use->limit.inodes;
  return out;
}

Result<std::vector<storage::HomeInfo>> all_homes(const storage::HomeStore& homes,
                                                 const HomeOptions& options) {
  std::vector<storage::HomeInfo> found;
  PANAL_ASSIGN(const auto tenants, homes.tenants());
  for (const std::string& tenant : tenants) {
    if (!options.tenant.empty() && tenant != options.tenant) continue;
    PANAL_ASSIGN(const auto names, homes.homes_of(tenant));
    for (const std::string& name : names) {
      auto info = homes.info(tenant, name, options.measure);
      if (!info && info.error().is_gone()) continue;  // removed meanwhile
      if (!info && info.error().code == ENOTDIR) continue;
      if (!info) return tl::make_unexpected(info.error());
      found.push_back(std::move(*info));
    }
  }
  return found;
}

}  // namespace

Leases leases_of(Shell& shell) {
  Leases found;
  const auto store = shell.backends.store(shell.config);
  if (!store) return found;
  const auto leases = (*store)->homes().leases();
  if (!leases) return found;
  for (const store::HomeLease& lease : *leases) found[{lease.tenant, lease.home}] = lease;
  return found;
}

ExitCode home_ls(Shell& shell, const HomeOptions& options) {
  const storage::HomeStore homes(shell.config.homes_dir);
  const auto found = all_homes(homes, options);
  if (!found) return told_of_home(shell, found.error());
  const Leases leases = leases_of(shell);
  if (options.json) {
    auto list = nlohmann::json::array();
    for (const auto& info : *found) list.push_back(home_json(info, leases));
    shell.print(list);
    return ExitCode::kOk;
  }
  Table table({"TENANT", "HOME", "QUOTA", ">USED", ">LIMIT", ">FILES", ">AT MOST", ">SNAPSHOTS",
               "IN USE BY"});
  for (const auto& info : *found) {
    const auto& use = info.use;
    table.add_row({info.tenant, info.home, std::string(storage::to_string(info.quota)),
                   use ? human_bytes(use->bytes) : "-",
                   use ? limit_text(use->limit.bytes, true) : "-",
                   use && use->inodes ? std::to_string(*use->inodes) : "-",
                   use ? limit_text(use->limit.inodes, false) : "-",
                   std::to_string(info.snapshots.size()), user_of(leases, info)});
  }
  table.print(shell.out);
  return ExitCode::kOk;
}

ExitCode home_show(Shell& shell, const HomeOptions& options) {
  const storage::HomeStore homes(shell.config.homes_dir);
  const auto info = homes.info(options.tenant, options.home, options.measure);
  if (!info && info.error().code == ENOENT)
    return shell.refuse(ExitCode::kNotFound,
                        fmt::format("there is no home {} of tenant {} on this node; panal home ls "
                                    "shows all",
                                    printable(options.home, 80), printable(options.tenant, 80)));
  if (!info) return told_of_home(shell, info.error());
  auto facts = home_json(*info, leases_of(shell));
  facts["path"] = fmt::format("{}/{}/{}", shell.config.homes_dir, options.tenant, options.home);
  if (options.json) {
    shell.print(facts);
    return ExitCode::kOk;
  }
  for (const auto& [key, value] : facts.items())
    shell.out << fmt::format(
        "{:16}{}\n", key,
        printable(value.is_string() ? value.get<std::string>() : value.dump(), 2000));
  return ExitCode::kOk;
}

}  // namespace panal::cli
