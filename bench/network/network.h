#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace panal::bench {

struct NetworkOptions {
  /// Of network_parts(); empty: all.
  std::vector<std::string> parts = {};
  /// Of network_arms() (node.h); empty: all. "qvd" is in "cost" and "changes" alone.
  std::vector<std::string> arms = {};
  std::vector<std::size_t> sizes = {1, 100, 400, 1000};  ///< numbers of desktops, ascending
  unsigned rounds = 100;  ///< "cost": turns of all nodes, of which each makes one pair
  unsigned batches =
      6;  ///< "cost": measured batches of packets in a turn, of which the median counts
  unsigned cycles = 201;      ///< "changes": one desktop added and removed, nftables
  unsigned slow_cycles = 21;  ///< the same where programs are started for it
  unsigned lots = 11;         ///< "changes": 400 at once; 3 where programs are started
  unsigned swaps = 100;       ///< "swap": exchanges of all policies
  unsigned repairs = 5;       ///< "repair": of each kind of drift
};

/// "cost", "changes", "swap", "repair".
[[nodiscard]] const std::vector<std::string>& network_parts();

/// All of it, in network namespaces of its own; the largest size counts where there is one. Of the
/// result, an object for each part that was run, by arm:
///   cost: nodes by size, of each by way: cpu_ns, wall_ns (spreads of the turns' medians, of a
///     packet), packets_per_second, late (batches that were not done in the sending call);
///     flatness: by way, the largest size to the smallest that has the way (paired.h)
///   changes: desktops; add_ms, remove_ms, add_400_ms, remove_400_ms (spreads; an audit between
///   two,
///     as panald's loop makes one), add_again_ms, remove_again_ms (none: the same desktop comes
///     back at once); load_ms
///   swap: desktops, swaps, swap_ms (spread), sent, lost, leaked (of what is never allowed)
///   repair: desktops, by kind of drift a spread of seconds; longest_seconds
///   or skipped: why
/// Errors: what broke off, with part and arm.
[[nodiscard]] Result<nlohmann::json> run_network(const NetworkOptions& options);

/// A result as tables of Markdown, for docs/network.md.
[[nodiscard]] std::string network_tables(const nlohmann::json& result);

/// The greatest flatness of all ways of an arm of "cost"; 0: it was not measured.
[[nodiscard]] double worst_flatness(const nlohmann::json& arm);

// The parts. `arms` are those that are asked for.
[[nodiscard]] Result<nlohmann::json> network_cost(const NetworkOptions& options,
                                                  const std::vector<std::string>& arms);
[[nodiscard]] Result<nlohmann::json> network_changes(const NetworkOptions& options,
                                                     const std::vector<std::string>& arms);
[[nodiscard]] Result<nlohmann::json> network_swap(const NetworkOptions& options,
                                                  const std::vector<std::string>& arms);
[[nodiscard]] Result<nlohmann::json> network_repair(const NetworkOptions& options,
                                                    const std::vector<std::string>& arms);

}  // namespace panal::bench
