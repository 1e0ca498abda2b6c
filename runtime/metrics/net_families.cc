// What the desktops' network refused, and whether its rules are what they should be.
#include "runtime/metrics/book.h"
#include "runtime/metrics/net_figures.h"

namespace panal::metrics {

void write_network(Book& book, const NetFigures& network) {
  Family drops = book.counter("panal_net_dropped_packets_total", "Packets dropped, by reason.");
  for (const auto& [reason, packets] : network.drops)
    drops.add(static_cast<double>(packets), {{"reason", reason}});
  book.counter("panal_net_audits_total", "Comparisons of the rules with what was meant.")
      .add("outcome", kAuditOutcomes, network.audits);
  book.counter("panal_net_drifts_total", "Places where the rules were not what was meant.")
      .add(static_cast<double>(network.drifts));
  book.gauge("panal_net_cut_off_state", "1: the rules cannot be repaired, no desktop has network.")
      .add(network.cut_off ? 1 : 0);
  book.counter("panal_net_logged_packets_total", "Packets that policies have had written down.")
      .add("verdict", kLoggedVerdicts, network.logged);
  book.counter("panal_net_log_overruns_total", "Times that such packets were lost.")
      .add(static_cast<double>(network.log_lost));
}

}  // namespace panal::metrics
