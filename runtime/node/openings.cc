#include "runtime/node/openings.h"

#include <sys/prctl.h>

#include <thread>

#include "engine/base/prctl_numbers.h"
#include "engine/kernel/block_device.h"
#include "engine/kernel/meminfo.h"
#include "runtime/optimiser/profile_settings.h"
#include "runtime/tuning/profiles.h"

namespace panal::node {

using std::chrono::seconds;

namespace {

/// Before Linux 6.4 nobody can be enlisted in KSM; the rest of a profile is still good.
bool kernel_can_enlist() { return ::prctl(kGetMemoryMerge, 0, 0, 0, 0) >= 0; }

}  // namespace

Result<std::unique_ptr<store::Store>> connect_within(const std::string& conninfo, seconds limit,
                                                     Logger& log) {
  const auto until = std::chrono::steady_clock::now() + limit;
  for (bool told = false;; told = true) {
    auto store = store::Store::connect(conninfo);
    if (store || store.error().code != ENOTCONN || std::chrono::steady_clock::now() >= until)
      return store;
    if (!told) log.info("wait_for_database", {{"why", store.error().message()}});
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
  }
}

Result<optimiser::Settings> optimiser_settings(const config::Config& config, const Tree& tree,
                                               Logger& log) {
  PANAL_ASSIGN(const auto profile, tuning::load_profile(config, config.tuning_profile));
  PANAL_ASSIGN(const HostMemory memory, kernel::read_meminfo(tree));
  optimiser::NodeFacts node{memory.total, config.memory_reserve_bytes, config.desktop_memory_bytes,
                            config.desktop_pids, ""};
  if (optimiser::limits_io(profile)) {
    // Something without limits (an overlay, a network's) keeps nobody from starting.
    if (auto disk = kernel::whole_disk_of(tree, config.state_dir))
      node.disk = std::move(*disk);
    else
      log.warning("no_io_limits", {{"why", disk.error().message()}});
  }
  optimiser::Settings settings = optimiser::settings_of(profile, node);
  if (settings.enlists() && !kernel_can_enlist()) {
    log.warning("no_merging", {{"why", "this kernel cannot enlist desktops in KSM"}});
    settings.enlist = optimiser::Enlist::kNobody;
  }
  return settings;
}

}  // namespace panal::node
