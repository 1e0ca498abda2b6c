// The machine and the desktops on it: what is, not what was decided.
#include "runtime/metrics/book.h"
#include "runtime/metrics/figures.h"
#include "runtime/store/store.h"

namespace panal::metrics {
namespace {

void write_desktops(Book& book, const NodeFigures& figures) {
  using store::Observed;
  Family states = book.gauge("panal_node_desktops", "Desktops of this node by observed state.");
  for (const Observed state : {Observed::kStopped, Observed::kComposing, Observed::kStarting,
                               Observed::kRunning, Observed::kStopping, Observed::kFailed}) {
    const auto found = figures.states.find(std::string(store::to_string(state)));
    states.add(found == figures.states.end() ? 0 : static_cast<double>(found->second),
               {{"state", std::string(store::to_string(state))}});
  }
  Family tenants =
      book.gauge("panal_node_tenant_desktops", "Desktops that run, by tenant; none: not listed.");
  for (const auto& [tenant, count] : figures.tenants)
    tenants.add(static_cast<double>(count), {{"tenant", tenant}});
}

void write_memory(Book& book, const NodeFigures& figures) {
  const Snapshot& host = figures.optimiser.host;
  if (host.at_ns > 0) {
    book.gauge("panal_memory_size_bytes", "Memory of the host (MemTotal).")
        .add(static_cast<double>(host.memory.total));
    book.gauge("panal_memory_available_bytes", "What programs can still get (MemAvailable).")
        .add(static_cast<double>(host.memory.available));
  }
  if (figures.desktops) {
    book.gauge("panal_memory_desktops_bytes", "What all desktops together are charged with.")
        .add(static_cast<double>(figures.desktops->usage_bytes));
    book.gauge("panal_memory_limit_bytes", "The limit of all desktops together.")
        .add(static_cast<double>(figures.desktops->limit_bytes));
  }
  if (host.at_ns == 0) return;
  book.gauge("panal_zram_original_bytes", "What zram holds, before compression.")
      .add(static_cast<double>(host.zram.original));
  book.gauge("panal_zram_compressed_bytes", "The same, compressed.")
      .add(static_cast<double>(host.zram.compressed));
  book.gauge("panal_zram_used_bytes", "Memory zram takes, its own fragmentation included.")
      .add(static_cast<double>(host.zram.used));
  book.gauge("panal_zram_limit_bytes", "The most that zram may take; 0: no limit.")
      .add(static_cast<double>(host.zram.limit));
  book.gauge("panal_zswap_original_bytes", "What zswap holds in memory, before compression.")
      .add(static_cast<double>(host.memory.zswap_original));
  book.gauge("panal_zswap_used_bytes", "Memory that zswap's pool takes.")
      .add(static_cast<double>(host.memory.zswap_pool));
  book.gauge("panal_swap_used_bytes", "What is swapped out, wherever it is.")
      .add(static_cast<double>(host.memory.swap_total - host.memory.swap_free));
  if (figures.optimiser.zram_written_back_bytes)
    book.counter("panal_zram_written_back_bytes_total", "What zram wrote to the disk behind it.")
        .add(static_cast<double>(*figures.optimiser.zram_written_back_bytes));
}

/// Calls `each` with every line that this kernel has, and its labels.
template <typename Each>
void each_pressure(const PressureSet& pressure, Each each) {
  const std::pair<const char*, const std::optional<Pressure>&> resources[] = {
      {"cpu", pressure.cpu}, {"memory", pressure.memory}, {"io", pressure.io}};
  for (const auto& [resource, lines] : resources) {
    if (!lines) continue;
    each(lines->some, Labels{{"resource", resource}, {"tasks", "some"}});
    if (lines->full) each(*lines->full, Labels{{"resource", resource}, {"tasks", "full"}});
  }
}

void write_pressure(Book& book, const PressureSet& pressure) {
  if (!pressure.cpu && !pressure.memory && !pressure.io) return;
  Family share = book.gauge("panal_pressure_waited_ratio",
                            "Share of the last 10 s in which tasks waited for it (PSI avg10).");
  each_pressure(pressure, [&share](const PressureLine& line, const Labels& labels) {
    share.add(line.avg10_percent / 100, labels);
  });
  Family total = book.counter("panal_pressure_waited_seconds_total",
                              "Time in which tasks waited for it, since boot (PSI total).");
  each_pressure(pressure, [&total](const PressureLine& line, const Labels& labels) {
    total.add(static_cast<double>(line.total_us) / 1e6, labels);
  });
}

const char* by(bool measured) { return measured ? "measurement" : "estimate"; }

void write_room(Book& book, const std::vector<policy::Resource>& all) {
  const policy::Capacity room = policy::capacity(all);
  if (room.first_out == SIZE_MAX) return;
  book.gauge("panal_starts_room_desktops",
             "How many more desktops fit, by estimate until this node has measured it.")
      .add(room.more, {{"by", by(room.measured)},
                       {"resource", std::string(policy::to_string(all[room.first_out].kind))}});
  Family each = book.gauge("panal_starts_resource_room_desktops",
                           "How many more desktops fit into each resource; what has no end for "
                           "them, or is not known, is not listed.");
  for (const policy::Resource& one : all) {
    if (const std::uint32_t more = policy::fits(one); more != policy::kNoEnd)
      each.add(more, {{"by", by(one.cost.measured)},
                      {"resource", std::string(policy::to_string(one.kind))},
                      {"what", one.name}});
  }
}

}  // namespace

void write_node(Book& book, const NodeFigures& figures) {
  book.gauge("panal_node_build_info", "Always 1: which node answers, and its version.")
      .add(1, {{"node", figures.node}, {"version", figures.version}});
  book.counter("panal_node_cpu_seconds_total", "CPU time of panald, all its threads.")
      .add(seconds(figures.cpu_ns));
  write_desktops(book, figures);
  book.counter("panal_node_exits_total",
               "Desktops whose init ended by itself, by what was decided of them.")
      .add("verdict", kExitVerdicts, figures.exits);
  book.counter("panal_node_expired_total",
               "Desktops started again because the time of their version was over.")
      .add(static_cast<double>(figures.expired));
  book.counter("panal_node_homes_lost_total",
               "Desktops ended because their home, or the right to it, was lost.")
      .add(static_cast<double>(figures.homes_lost));
  book.gauge("panal_node_disk_full_state",
             "1 while the disk of the state directory is full and its reserve used up.")
      .add(figures.disk_full ? 1 : 0);
  book.counter("panal_attach_answers_total", "What those were told who wanted into a desktop.")
      .add("answer", kAttachAnswers, figures.attach_answers);
  write_memory(book, figures);
  write_pressure(book, figures.optimiser.host.pressure);
}

void write_starts(Book& book, const NodeFigures& figures) {
  const optimiser::StartTally& starts = figures.starts;
  book.counter("panal_starts_let_through_total", "Starts that the gate let begin.")
      .add(static_cast<double>(starts.let_through));
  book.counter("panal_starts_made_to_wait_total",
               "Starts that had to wait, by what there was too little of; once each.")
      .add("resource", optimiser::kStartWaits, starts.made_to_wait);
  book.counter("panal_starts_refused_total",
               "Starts told that there is no room, by what ran out first; once each.")
      .add("resource", optimiser::kStartWaits, starts.refused);
  book.counter("panal_starts_ended_total", "Starts that are over, by how they ended.")
      .add("result", optimiser::kStartEnds, starts.ended);
  book.histogram("panal_starts_duration_seconds", "From the claim of a start to its end.")
      .add(starts.took);
  book.gauge("panal_starts_under_way_desktops", "Desktops that are starting.")
      .add(static_cast<double>(figures.starting));
  book.gauge("panal_starts_waiting_desktops", "Desktops that wait to start.")
      .add(static_cast<double>(figures.waiting));
  write_room(book, figures.room);
}

}  // namespace panal::metrics
