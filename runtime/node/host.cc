#include "runtime/node/host.h"

#include <unistd.h>

#include <algorithm>
#include <thread>

#include "engine/kernel/namespaces.h"
#include "runtime/desktop/lxc/config.h"

namespace panal::node {

Result<Programs> Programs::beside(const std::string& directory) {
  Programs programs{directory + "/panal-spawner", directory + "/panal-agent",
                    directory + "/panal-prewarm"};
  for (const std::string& program : {programs.spawner, programs.agent, programs.prewarm})
    if (::access(program.c_str(), X_OK) != 0)
      return fail_errno("panald needs the program", program);
  return programs;
}

Host::Host(const config::Config& config, LoggerPtr log)
    : log_(std::move(log)), images_(config.images_dir), homes_(config.homes_dir) {}

Result<std::unique_ptr<Host>> Host::open(const config::Config& config, const Programs& programs,
                                         LoggerPtr log) {
  std::unique_ptr<Host> host(new Host(config, log));
  PANAL_ASSIGN(host->tree_, Tree::open_system());
  PANAL_ASSIGN(host->slots_, desktop::IdSlots::load(config.ids));
  PANAL_ASSIGN(host->cgroups_, kernel::CgroupRoot::open(host->tree_));
  PANAL_ASSIGN(host->parent_, kernel::Cgroup::create(*host->cgroups_, config.cgroup_parent));
  PANAL_ASSIGN(auto limited, kernel::Cgroup::create(*host->cgroups_, config.cgroup_parent));
  host->limit_.emplace(host->tree_, std::move(limited), config.memory_reserve_bytes,
                       config.memory_limit_bytes);
  PANAL_ASSIGN(const auto limit, host->limit_->update());
  log->info("parent_limit", {{"mib", std::to_string(limit >> 20U)}});
  PANAL_ASSIGN(host->groups_, desktop::KernelGroups::open(host->tree_, config.cgroup_parent));

  PANAL_ASSIGN(auto net, kernel::open_namespace(config.net_namespace_file()));
  PANAL_ASSIGN(host->network_,
               netconfine::Network::open(std::move(net), {config.subnet4, config.subnet6}, log));

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
  PANAL_ASSIGN(host->audit_, netconfine::AuditLoop::start(*host->network_));
  return host;
}

std::vector<pid_t> Host::processes_of(DesktopId id) const {
  const auto group = kernel::Cgroup::open(cgroups(), parent().path() + "/" + kernel_name(id));
  return group ? group->pids().value_or(std::vector<pid_t>()) : std::vector<pid_t>();
}

desktop::Parts Host::parts(desktop::AgentGate& agents) {
  return {compose_, homes_, *network_, *containers_, *groups_, shared_, agents, log_};
}

}  // namespace panal::node
