#include "runtime/node/net_tally.h"

namespace panal::node {

void NetTally::audited(const netconfine::AuditReport& report) {
  using Outcome = netconfine::AuditReport::Outcome;
  const std::lock_guard lock(mutex_);
  const auto at = static_cast<std::size_t>(report.outcome);
  ++figures_.audits[std::string(metrics::kAuditOutcomes.at(at))];
  figures_.drifts += report.drifts.size();
  figures_.cut_off = report.outcome == Outcome::kCutOff;
}

void NetTally::dropped(const std::vector<netconfine::DropCounter>& counters) {
  const std::lock_guard lock(mutex_);
  for (const netconfine::DropCounter& counter : counters) {
    std::uint64_t& last = last_drops_[counter.reason];
    figures_.drops[counter.reason] +=
        counter.packets >= last ? counter.packets - last : counter.packets;
    last = counter.packets;
  }
}

void NetTally::logged(const std::string& verdict) {
  const std::lock_guard lock(mutex_);
  ++figures_.logged[verdict];
}

void NetTally::log_lost(std::uint64_t times) {
  const std::lock_guard lock(mutex_);
  figures_.log_lost = times;
}

metrics::NetFigures NetTally::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

}  // namespace panal::node
