#include "runtime/space/space_plan.h"

namespace panal::space {
namespace {

using storage::QuotaKind;

/// "auto" is none.
std::optional<QuotaKind> wanted_kind(const std::string& word) {
  return word == "auto" ? std::nullopt : storage::parse_quota_kind(word);
}

/// What is chosen; where nothing works, what was asked for, so that it is refused when it is needed
/// and not silently left out.
storage::QuotaChoice choose_or_keep(const std::vector<storage::QuotaFinding>& findings,
                                    const std::optional<QuotaKind>& wanted,
                                    const storage::SpaceLimit& limit, bool must_be_apart) {
  auto chosen = storage::choose_quota(findings, wanted, limit, must_be_apart);
  if (chosen) return *chosen;
  return {wanted.value_or(QuotaKind::kLoop), chosen.error().context};
}

}  // namespace

bool homes_are_remote(const config::Config& config, const std::vector<storage::MountLine>& table) {
  if (config.homes_remote != "auto") return config.homes_remote == "yes";
  const auto* mount = storage::mount_of(table, config.homes_dir);
  return mount != nullptr && storage::is_remote_type(mount->type);
}

bool homes_want_probe(const config::Config& config, bool remote) {
  if (remote || config.homes_quota == "none") return false;
  return config.homes_quota != "auto" || config.homes_limit_bytes != 0 ||
         config.homes_limit_inodes != 0;
}

bool layers_want_probe(const config::Config& config) {
  if (config.uppers_quota == "none") return false;
  return config.uppers_limit_bytes != 0 || config.uppers_limit_inodes != 0;
}

HomePlan plan_homes(const config::Config& config, const std::vector<storage::MountLine>& table,
                    const std::vector<storage::QuotaFinding>& findings) {
  HomePlan plan;
  plan.remote = homes_are_remote(config, table);
  if (const auto* mount = storage::mount_of(table, config.homes_dir))
    plan.place = mount->type + " (" + mount->source + ")";
  plan.rules.node = config.node_name;
  plan.rules.limit = {config.homes_limit_bytes, config.homes_limit_inodes};
  const auto wanted = wanted_kind(config.homes_quota);
  if (plan.remote && wanted == QuotaKind::kNone) {
    plan.rules.limit = {};  // nobody would hold to it
    plan.why = "plain directories on the server, as configured";
    return plan;
  }
  if (plan.remote) {
    plan.rules.quota = wanted.value_or(QuotaKind::kLoop);
    plan.why = "a file system in a file for each home: files of " + plan.place +
               " cannot be shown under other ids";
    return plan;
  }
  const auto choice = choose_or_keep(findings, wanted, plan.rules.limit, false);
  plan.rules.quota = choice.kind;
  if (choice.kind == QuotaKind::kNone) plan.rules.limit = {};
  plan.why = choice.why;
  return plan;
}

LayerPlan plan_layers(const config::Config& config,
                      const std::vector<storage::QuotaFinding>& findings) {
  LayerPlan plan;
  plan.rules.limit = {config.uppers_limit_bytes, config.uppers_limit_inodes};
  const auto wanted = wanted_kind(config.uppers_quota);
  if (layers_want_probe(config)) {
    const auto choice = choose_or_keep(findings, wanted, plan.rules.limit, false);
    plan.rules.persistent = choice.kind;
    plan.why = choice.why;
  } else {
    plan.why = plan.rules.limit.any() ? "no quota, as configured" : "no limit is set";
  }
  plan.rules.volatiles =
      config.uppers_volatile == "memory" ? QuotaKind::kMemory : plan.rules.persistent;
  // Who has no quota has no limit either: the inner kind would refuse one.
  if (plan.rules.persistent == QuotaKind::kNone && plan.rules.volatiles == QuotaKind::kNone)
    plan.rules.limit = {};
  return plan;
}

storage::PoolSpec pool_spec(const config::Config& config) {
  return {config.pool_file(), config.desktops_root(), {config.uppers_pool_bytes, 0}};
}

}  // namespace panal::space
