#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "bench/density/load.h"
#include "bench/density/stopwatch.h"

namespace panal::bench {

/// What became of a lot.
struct LotSeen {
  std::vector<Account> attached;  ///< in the order of the lot
  std::vector<Account> missing;   ///< the others: neither they nor their clients run any more
  std::string short_of;           ///< why there are missing ones, in words
};

/// Desktops on their way from stopped to attached.
class Lot {
 public:
  /// `watched`: whose picture will be looked at.
  Lot(BenchNode& node, Load& load, std::vector<Account> accounts,
      std::function<bool(const Account&)> watched)
      : node_(node), load_(load), accounts_(std::move(accounts)), watched_(std::move(watched)) {}

  /// Each is started by its own client, as users do it. So many clients are under way at once that
  /// panald always has somebody to decide about, and no more: its gate sets the pace. Ends early,
  /// which is no error, after `patience`, when a client gives up, or when panald refuses starts and
  /// begins none for a minute. Errors: of the node's commands.
  [[nodiscard]] Result<LotSeen> start_by_clients(std::chrono::seconds patience);
  /// One command starts all; each gets its client as soon as it runs. Errors: ETIMEDOUT when one of
  /// them is not attached after `patience`.
  [[nodiscard]] Result<LotSeen> start_by_command(std::chrono::seconds patience);

  /// desktops, all_running_seconds, all_connected_seconds (from the first start on), and of each
  /// one's way, from its start by command or from its client's: to_connected_p50_seconds and _max_.
  [[nodiscard]] nlohmann::json times() const;

 private:
  struct Way {
    double began = 0;      ///< seconds, since the lot's begin
    double running = 0;    ///< 0: not yet
    double connected = 0;  ///< 0: not yet
  };
  void look(const Account& account, const LiveDesktop& live);
  /// Who is there; ends the others.
  [[nodiscard]] LotSeen seen(std::string short_of);

  BenchNode& node_;
  Load& load_;
  std::vector<Account> accounts_;
  std::function<bool(const Account&)> watched_;
  Clock::time_point begin_;
  std::map<std::int64_t, Way> ways_;  ///< of those that are under way or there
};

}  // namespace panal::bench
