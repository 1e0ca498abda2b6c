#include "runtime/node/metrics.h"

#include <sys/resource.h>

#include <nlohmann/json.hpp>

#include "runtime/metrics/metrics.h"
#include "runtime/node/version.h"

namespace panal::node {
namespace {

std::uint64_t own_cpu_ns() {
  rusage used{};
  if (::getrusage(RUSAGE_SELF, &used) != 0) return 0;
  const auto ns = [](const timeval& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(time.tv_usec) * 1'000;
  };
  return ns(used.ru_utime) + ns(used.ru_stime);
}

}  // namespace

metrics::NodeFigures figures(const MetricSources& sources) {
  metrics::NodeFigures out;
  out.node = sources.node;
  out.version = kVersion;
  out.cpu_ns = own_cpu_ns();
  out.states = sources.reconciler.states();
  out.tenants = sources.reconciler.running_by_tenant();
  if (auto used = sources.host.parent().statistics()) out.desktops = std::move(used->memory);
  out.starts = sources.reconciler.starts();
  out.exits = sources.reconciler.exits();
  out.expired = sources.reconciler.expired();
  out.homes_lost = sources.reconciler.given_up();
  out.disk_full = sources.disk_full;
  out.attach_answers = sources.attaches.answers();
  out.starting = sources.reconciler.starting();
  out.waiting = sources.reconciler.waiting();
  out.room = sources.optimiser.resources();
  out.optimiser = sources.optimiser.figures();
  out.resort = sources.optimiser.resort_figures();
  out.network = sources.host.net_tally().figures();
  if (sources.warmer != nullptr) out.warm = sources.warmer->figures();
  return out;
}

nlohmann::json metrics_answer(const MetricSources& sources, bool as_families) {
  const metrics::NodeFigures now = figures(sources);
  if (as_families) return {{"families", metrics::families(now)}};
  return {{"text", metrics::text(now)}};
}

}  // namespace panal::node
