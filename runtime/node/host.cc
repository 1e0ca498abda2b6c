#include "runtime/node/host.h"

#include <unistd.h>

#include <algorithm>
#include <thread>

#include "engine/base/kernel_paths.h"
#include "engine/kernel/namespaces.h"
#include "netconfine/firewall/choice/choice.h"
#include "netconfine/firewall/choice/leftovers.h"
#include "netconfine/firewall/iptables/iptables.h"
#include "runtime/desktop/lxc/config.h"
#include "runtime/node/net_in_force.h"
#include "runtime/space/space_plan.h"
#include "storage/home/guarded_home_store.h"

namespace panal::node {
namespace {

Result<std::unique_ptr<netconfine::FirewallBackend>> open_backend(const config::Config& config,
                                                                  Logger& log) {
  PANAL_ASSIGN(const auto choice, netconfine::parse_firewall_choice(config.firewall_backend));
  const netconfine::FirewallWay nftables{netconfine::open_nftables_backend,
                                         netconfine::clear_nftables};
  const netconfine::FirewallWay iptables{[] { return netconfine::open_iptables_backend(); },
                                         netconfine::clear_iptables};
  PANAL_ASSIGN(auto chosen, netconfine::choose_firewall(choice, nftables, iptables));
  log.info("network_backend", {{"name", chosen.backend->name()}, {"why", chosen.why}});
  return std::move(chosen.backend);
}

/// What was in force when the last panald ended, so that connections of desktops which run go on.
Result<netpolicy::Plan> plan_before(const config::Config& config) {
  PANAL_ASSIGN(const RulesBefore before, read_in_force(config.run_dir));
  return netpolicy::make_plan(before.set, before.rows, config);
}

}  // namespace

Result<Programs> Programs::beside(const std::string& directory) {
  Programs programs{directory + "/panal-spawner", directory + "/panal-agent",
                    directory + "/panal-prewarm", directory + "/panal-warm",
                    directory + "/panal-home"};
  for (const std::string& program :
       {programs.spawner, programs.agent, programs.prewarm, programs.warm})
    if (::access(program.c_str(), X_OK) != 0)
      return fail_errno("panald needs the program", program);
  return programs;
}

Host::Host(const config::Config& config, LoggerPtr log)
    : log_(std::move(log)),
      images_(config.images_dir),
      compose_(compose::composer_options(config)) {}

Result<void> Host::open_storage(const config::Config& config, const Programs& programs) {
  PANAL_ASSIGN(const auto table, storage::read_mount_table());
  const bool remote = space::homes_are_remote(config, table);
  std::vector<storage::QuotaFinding> findings;
  if (space::homes_want_probe(config, remote)) findings = storage::probe_quotas(config.homes_dir);
  const auto homes = space::plan_homes(config, table, findings);
  log_->info("homes", {{"place", homes.place},
                       {"remote", homes.remote ? "yes" : "no"},
                       {"quota", std::string(to_string(homes.rules.quota))},
                       {"why", homes.why}});
  if (homes.remote) {
    if (::access(programs.home.c_str(), X_OK) != 0)
      return fail_errno("homes on another machine need the program", programs.home);
    home_children_ = std::make_unique<storage::HomeChildren>(
        programs.home, std::chrono::seconds(config.homes_answer_seconds));
    auto guarded =
        std::make_unique<storage::GuardedHomeStore>(config.homes_dir, homes.rules, *home_children_);
    guarded_homes_ = guarded.get();
    homes_ = std::move(guarded);
  } else {
    homes_ = std::make_unique<storage::HomeStore>(config.homes_dir, homes.rules);
  }
  findings.clear();
  // Else each start of a volatile desktop would fail.
  if (config.uppers_volatile == "memory") PANAL_TRY(storage::probe_memory_layer(config.state_dir));
  if (space::layers_want_probe(config)) findings = storage::probe_quotas(config.desktops_root());
  const auto layers = space::plan_layers(config, findings);
  log_->info("layers", {{"persistent", std::string(to_string(layers.rules.persistent))},
                        {"volatile", std::string(to_string(layers.rules.volatiles))},
                        {"why", layers.why}});
  limited_.emplace(compose_, layers.rules);
  return {};
}

Result<std::unique_ptr<Host>> Host::open(const config::Config& config, const Programs& programs,
                                         LoggerPtr log, const netconfine::OpenBackend& firewall) {
  std::unique_ptr<Host> host(new Host(config, log));
  PANAL_TRY(host->open_storage(config, programs));
  PANAL_ASSIGN(host->tree_, Tree::open_system());
  PANAL_ASSIGN(host->slots_, desktop::IdSlots::load(config.ids));
  PANAL_ASSIGN(host->roots_, compose::RootChoice::open(config, host->tree_));
  if (const auto choice = host->roots_->for_image("", false))
    log->info("roots", {{"why", choice->reasons.front()}});
  else
    log->warning("roots", {{"why", choice.error().context}});
  PANAL_ASSIGN(host->cgroups_, kernel::CgroupRoot::open(host->tree_));
  PANAL_ASSIGN(host->parent_, kernel::Cgroup::create(*host->cgroups_, config.cgroup_parent));
  PANAL_ASSIGN(auto limited, kernel::Cgroup::create(*host->cgroups_, config.cgroup_parent));
  host->limit_.emplace(host->tree_, std::move(limited), config.memory_reserve_bytes,
                       config.memory_limit_bytes);
  PANAL_ASSIGN(const auto limit, host->limit_->update());
  log->info("parent_limit", {{"mib", std::to_string(limit >> 20U)}});
  PANAL_ASSIGN(host->groups_, desktop::KernelGroups::open(host->tree_, config.cgroup_parent));

  PANAL_TRY(host->open_network(config, firewall));

  desktop::lxc::SpawnerOptions spawner;
  spawner.program = programs.spawner;
  spawner.network_namespace = config.net_namespace_file();  // it inherits the mount namespace
  spawner.spawners = static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, 64U));
  PANAL_ASSIGN(host->spawners_, desktop::lxc::SpawnerPool::open(std::move(spawner), log));
  const std::string apparmor = desktop::lxc::apparmor_profile(host->tree_);
  if (!apparmor.empty()) log->info("apparmor", {{"desktops", apparmor}});
  host->containers_.emplace(*host->spawners_,
                            desktop::lxc::LxcOptions{programs.agent, config.cgroup_parent,
                                                     config.run_dir + "/lxc", apparmor});
  return host;
}

bool Host::shares_pages(const std::string& image) const {
  const auto choice = roots_->for_image(image, false);
  if (!choice) return false;
  const auto traits = compose_.traits_of(choice->backend);
  return traits && traits->shares_pages;
}

Result<void> Host::open_network(const config::Config& config,
                                const netconfine::OpenBackend& firewall) {
  PANAL_ASSIGN(auto net, kernel::open_namespace(config.net_namespace_file()));
  PANAL_ASSIGN(auto panal, net.duplicate());
  const auto before = plan_before(config);
  if (!before && before.error().code != ENOENT)
    log_->warning("network_before", {{"why", before.error().message()}});
  const netpolicy::Plan plan = before.value_or(netpolicy::Plan());
  PANAL_ASSIGN(const auto line, netpolicy::line_limits(config));
  const netconfine::OpenBackend configured = [this, &config] {
    return open_backend(config, *log_);
  };
  const netconfine::NamespaceOf namespace_of = [this](DesktopId id) -> Result<UniqueFd> {
    PANAL_ASSIGN(const auto init, groups_->find_init(id));
    return desktop::Lifecycle::network_of(init);
  };
  PANAL_ASSIGN(network_,
               netconfine::Network::open(std::move(net), {config.subnet4, config.subnet6, line},
                                         log_, firewall ? firewall : configured, plan.rules,
                                         plan.policies(), namespace_of));
  PANAL_ASSIGN(audit_, netconfine::AuditLoop::start(*network_, {},
                                                    [this](const netconfine::AuditReport& report) {
                                                      net_tally_.audited(report);
                                                    }));
  PANAL_ASSIGN(auto way_out, netpolicy::uplink_plan(config));
  PANAL_ASSIGN(auto own, kernel::open_namespace(std::string(kernel_paths::kProc) + "/self/ns/net"));
  PANAL_ASSIGN(uplink_, netconfine::Uplink::open(std::move(own), std::move(panal),
                                                 std::move(way_out), log_));
  keeper_.emplace(*uplink_, log_);
  return {};
}

std::vector<pid_t> Host::processes_of(DesktopId id) const {
  const auto group = kernel::Cgroup::open(cgroups(), parent().path() + "/" + kernel_name(id));
  return group ? group->pids().value_or(std::vector<pid_t>()) : std::vector<pid_t>();
}

desktop::Parts Host::parts(desktop::AgentGate& agents) {
  return {*limited_, *homes_, *network_, *containers_, *groups_, shared_, agents, log_};
}

}  // namespace panal::node
