#include "runtime/cli/doctor_storage.h"

#include <fmt/format.h>
#include <unistd.h>

#include "runtime/space/space_plan.h"
#include "storage/home/home_child.h"

namespace panal::cli {
namespace {

/// The finding about the kind that is planned; null where it was not tried.
const storage::QuotaFinding* finding_of(
    const std::optional<std::vector<storage::QuotaFinding>>& findings, storage::QuotaKind kind) {
  if (!findings) return nullptr;
  for (const auto& one : *findings)
    if (one.kind == kind) return &one;
  return nullptr;
}

Check check_homes_place(const config::Config& config, const StorageFacts& facts,
                        const space::HomePlan& plan) {
  const std::string where = fmt::format("{} on {}", config.homes_dir, plan.place);
  if (!plan.remote) return {"homes", Check::kOk, where, {}};
  if (facts.homes_answer && !*facts.homes_answer)
    return {"homes", Check::kFailed,
            fmt::format("{}: {}", where, facts.homes_answer->error().context),
            "look after its server and mount it again; desktops whose home is there cannot start"};
  const bool no_size = plan.rules.quota == storage::QuotaKind::kLoop && plan.rules.limit.bytes == 0;
  if (no_size)
    return {
        "homes", Check::kFailed,
        where + ": each home needs a file system in a file there, and no size is set for it",
        "set limit in [homes], e.g. limit = \"5 GiB\" (or quota = \"none\" where the file system "
        "can be idmapped)"};
  return {"homes",
          Check::kOk,
          fmt::format("{}, {}", where, facts.homes_answer ? "answers" : "may hang"),
          {}};
}

Check check_quota(const char* name, storage::QuotaKind kind, const storage::SpaceLimit& limit,
                  const std::string& why,
                  const std::optional<std::vector<storage::QuotaFinding>>& findings) {
  if (kind == storage::QuotaKind::kNone)
    return {name, Check::kOk, fmt::format("no limit ({})", why), {}};
  const auto* finding = finding_of(findings, kind);
  const std::string found =
      fmt::format("{}, {} MiB each ({})", storage::to_string(kind), limit.bytes >> 20U, why);
  if (finding != nullptr && !finding->works)
    return {name, Check::kFailed, found,
            fmt::format("mend it, or choose another quota; it was tried: {}", finding->why)};
  return {name, Check::kOk, found, {}};
}

Check check_layers_place(const config::Config& config, const StorageFacts& facts,
                         const space::LayerPlan& plan) {
  const auto* layers = storage::mount_of(facts.table, config.desktops_root());
  const auto* state = storage::mount_of(facts.table, config.state_dir);
  const bool apart = layers != nullptr && state != nullptr && layers->point != state->point;
  const bool limited = plan.rules.persistent != storage::QuotaKind::kNone &&
                       plan.rules.volatiles != storage::QuotaKind::kNone;
  if (apart || limited || config.uppers_pool_bytes != 0)
    return {"layers",
            Check::kOk,
            apart     ? fmt::format("{} is a file system apart", config.desktops_root())
            : limited ? std::string("each has a limit")
                      : std::string("panal up puts them into a pool"),
            {}};
  return {
      "layers", Check::kWarning,
      "desktops' layers and logs are on the disk of database and images, and nothing limits them",
      "set pool (or limit) in [uppers], or [paths] desktops to another disk"};
}

}  // namespace

std::vector<Check> check_storage(const config::Config& config, const StorageFacts& facts) {
  const auto homes = space::plan_homes(config, facts.table,
                                       facts.homes.value_or(std::vector<storage::QuotaFinding>()));
  const auto layers =
      space::plan_layers(config, facts.layers.value_or(std::vector<storage::QuotaFinding>()));
  std::vector<Check> checks;
  checks.push_back(check_homes_place(config, facts, homes));
  if (!homes.remote && (facts.homes || !space::homes_want_probe(config, false)))
    checks.push_back(
        check_quota("home quota", homes.rules.quota, homes.rules.limit, homes.why, facts.homes));
  if (facts.layers)
    checks.push_back(check_quota("layer quota", layers.rules.persistent, layers.rules.limit,
                                 layers.why, facts.layers));
  if (facts.memory_layers && !*facts.memory_layers)
    checks.push_back({"layers in memory", Check::kFailed, facts.memory_layers->error().context,
                      "panald does not start with volatile = \"memory\" in [uppers] here"});
  checks.push_back(check_layers_place(config, facts, layers));
  return checks;
}

std::vector<Check> probe_storage(const config::Config& config, bool privileged) {
  StorageFacts facts;
  auto table = storage::read_mount_table();
  if (!table)
    return {{"homes", Check::kFailed, table.error().message(), "is the proc file system mounted?"}};
  facts.table = std::move(*table);
  const bool remote = space::homes_are_remote(config, facts.table);
  if (remote) {
    storage::HomeChildren children(config::program_dir() + "/panal-home",
                                   std::chrono::seconds(config.homes_answer_seconds));
    storage::home_call::Call call;
    call.homes_dir = config.homes_dir;
    call.words = {config.homes_dir};
    const auto answer = children.ask(call);
    if (!answer)
      facts.homes_answer = tl::make_unexpected(answer.error());
    else if (!answer->complete)
      facts.homes_answer =
          fail(ETIMEDOUT, fmt::format("did not answer within {} s", config.homes_answer_seconds));
    else
      facts.homes_answer = answer->each.empty() ? Result<void>() : answer->each.front();
  }
  if (privileged && space::homes_want_probe(config, remote) &&
      ::access(config.homes_dir.c_str(), F_OK) == 0)
    facts.homes = storage::probe_quotas(config.homes_dir);
  if (privileged && space::layers_want_probe(config) &&
      ::access(config.desktops_root().c_str(), F_OK) == 0)
    facts.layers = storage::probe_quotas(config.desktops_root());
  if (privileged && config.uppers_volatile == "memory" &&
      ::access(config.desktops_root().c_str(), F_OK) == 0)
    facts.memory_layers = storage::probe_memory_layer(config.desktops_root());
  return check_storage(config, facts);
}

}  // namespace panal::cli
