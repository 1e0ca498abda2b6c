#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "netconfine/network.h"
#include "runtime/metrics/net_figures.h"

namespace panal::node {

/// Counts what the desktops' network refuses and what its audits find. Thread-safe.
class NetTally {
 public:
  void audited(const netconfine::AuditReport& report);
  /// The rules' own counters. They begin anew when rules are replaced; what is told never falls.
  void dropped(const std::vector<netconfine::DropCounter>& counters);
  /// `verdict`: "allowed" or "denied".
  void logged(const std::string& verdict);
  void log_lost(std::uint64_t times);

  [[nodiscard]] metrics::NetFigures figures() const;

 private:
  mutable std::mutex mutex_;
  metrics::NetFigures figures_;
  std::map<std::string, std::uint64_t> last_drops_;  ///< as the rules counted them
};

}  // namespace panal::node
