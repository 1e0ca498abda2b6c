#include "runtime/node/node_optimiser.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/kernel/ksm.h"
#include "engine/kernel/zram_writeback.h"
#include "engine/profile/saved.h"
#include "netconfine/address/address_pool.h"
#include "runtime/desktop/lxc/config.h"
#include "runtime/node/merge_demand.h"
#include "runtime/node/openings.h"
#include "runtime/optimiser/enclosing_groups.h"
#include "runtime/optimiser/io_rate.h"
#include "runtime/tuning/machine_state.h"

namespace panal::node {
Result<std::unique_ptr<NodeOptimiser>> NodeOptimiser::open(Parts parts) {
  std::unique_ptr<NodeOptimiser> one(new NodeOptimiser(std::move(parts)));
  PANAL_TRY(one->open_parts());
  return one;
}

Result<void> NodeOptimiser::open_parts() {
  const config::Config& config = parts_.config;
  const Host& host = parts_.host;
  const LoggerPtr& log = parts_.log;
  PANAL_ASSIGN(const optimiser::Settings settings, optimiser_settings(config, host.tree(), *log));
  fixed_addresses_ = settings.fixed_addresses;
  PANAL_ASSIGN(optimiser_, optimiser::Optimiser::open(
                               {host.tree(), host.cgroups(), config.cgroup_parent,
                                optimiser::ksm_record_file(tuning::machine_state_dir()), log,
                                config.state_dir + "/hot", profile::kMachineLockFile,
                                std::make_shared<optimiser::KernelTrials>(
                                    host.tree(), host.cgroups(), config.cgroup_parent + "/trial"),
                                desktop::lxc::monitor_parent(config.cgroup_parent)},
                               settings));
  // What desktops read and write is looked at where it is counted.
  if (auto counted =
          optimiser::count_io(host.tree(), host.cgroups(), config.cgroup_parent, config.state_dir);
      !counted)
    log->info("io_not_counted", {{"why", counted.error().message()}});
  programs_apart_.emplace(optimiser::ProgramLearner::Parts{
      host.tree(), [&host](DesktopId id) { return host.processes_of(id); },
      config.state_dir + "/ksm.programs", log});
  // It is learnt anew.
  if (auto loaded = programs_apart_->load(); !loaded)
    log->warning("ksm_programs", {{"why", loaded.error().message()}});
  if (settings.enlists()) programs_apart_->begin();
  PANAL_ASSIGN(rescuer_, optimiser::Rescuer::open(
                             {host.tree(), host.cgroups(), *optimiser_, config.cgroup_parent,
                              settings.shaver.reserve_bytes, config.desktop_memory_bytes, log}));
  PANAL_ASSIGN(auto groups, optimiser::enclosing_groups(host.cgroups(), config.cgroup_parent));
  PANAL_ASSIGN(const auto pool, netconfine::AddressPool::parse(config.subnet4, config.subnet6));
  gatekeeper_.emplace(optimiser::Gatekeeper::Parts{
      host.tree(), settings.shaver.reserve_bytes, std::max(1U, config.parallel_starts),
      std::move(groups), settings.gate, host.slots().for_desktops(), pool.count()});
  begin_to_write_back(settings);
  return {};
}

void NodeOptimiser::begin_to_write_back(const optimiser::Settings& settings) {
  if (settings.zram_writeback.empty()) return;
  // The place as the kernel names it; what is wrong with it keeps nobody from starting.
  auto place = kernel::find_writeback_place(settings.zram_writeback);
  if (!place) {
    parts_.log->warning("no_zram_writeback", {{"why", place.error().message()}});
    return;
  }
  zram_writer_.emplace(optimiser::ZramWriter::Parts{
      parts_.host.tree(), std::move(*place), settings.zram_writeback_after,
      settings.zram_writeback_bytes_per_day, parts_.log});
  zram_writer_->begin();
}

void NodeOptimiser::expect(const std::vector<const store::Desktop*>& rows) {
  optimiser_->expect(merge_demand(rows));
}

std::optional<optimiser::StartWait> NodeOptimiser::may_start(const store::Desktop& row,
                                                             std::uint32_t in_flight) {
  if (auto closed = rescuer_->closed()) return optimiser::shut_by_last_resort(std::move(*closed));
  return gatekeeper_->ask(row.image, in_flight);
}

desktop::MemorySharing NodeOptimiser::sharing(const store::Desktop& row) {
  const bool enlisted = optimiser_->enlist(row.id, {row.tenant, row.trust}, row.share_memory);
  return {enlisted, enlisted && fixed_addresses_, row.trust,
          enlisted ? programs_apart_->leave_out(row.image) : std::vector<std::string>()};
}

void NodeOptimiser::started(const desktop::DesktopSpec& spec, pid_t init, bool heard) {
  rescuer_->started(spec.id, spec.limits);
  // The kernel knows best: one that a former panald started may differ from what is asked of new
  // ones.
  // Kernels before 6.15 do not say it in so many words, but keep book only of who is enlisted.
  const auto merging = kernel::read_ksm_process(parts_.host.tree(), init);
  const bool enlisted =
      spec.sharing.merge || (merging && (merging->merge_any || merging->rmap_items > 0));
  optimiser_->started(spec.id, {spec.user.tenant, spec.sharing.trust}, enlisted, heard);
  if (enlisted) programs_apart_->started(spec.id, spec.image);
  gatekeeper_->came(spec.id, spec.image);
}

void NodeOptimiser::session(DesktopId id, const AgentState& state) {
  optimiser_->session(id, state.session == agent::SessionState::kConnected, state.idle_ms);
}

void NodeOptimiser::ended(DesktopId id) {
  // Frozen, it could not end in good order.
  optimiser_->thaw(id);
  optimiser_->ended(id);
  programs_apart_->ended(id);
  gatekeeper_->gone(id);
}

void NodeOptimiser::learn(std::size_t running) {
  const optimiser::Figures now = optimiser_->figures();
  const auto ksmd_cpu_ns = now.host.ksm ? now.host.ksm->ksmd_cpu_ns : std::nullopt;
  gatekeeper_->saw(optimiser_->last_seen(), ksmd_cpu_ns.value_or(0));
  gatekeeper_->learn(running);
}

nlohmann::json NodeOptimiser::report() const {
  nlohmann::json report = optimiser_->report();
  report["room"] = gatekeeper_->report();
  report["last_resort"] = rescuer_->report();
  report["ksm"]["programs"] = programs_apart_->report();
  if (zram_writer_) report["zram"]["written_back_bytes"] = zram_writer_->written_bytes();
  for (const auto& [id, count] : rescuer_->killed_processes())
    if (const auto one = report["desktops"].find(std::to_string(id));
        one != report["desktops"].end())
      (*one)["killed_processes"] = count;
  return report;
}

optimiser::Figures NodeOptimiser::figures() const {
  optimiser::Figures out = optimiser_->figures();
  out.programs = programs_apart_->figures();
  if (zram_writer_) out.zram_written_back_bytes = zram_writer_->written_bytes();
  return out;
}

}  // namespace panal::node
