#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/density/load.h"
#include "engine/base/tree.h"

namespace panal::bench {

/// What was seen at one moment. Bytes and nanoseconds.
struct Sample {
  double seconds = 0;  ///< since the sampler was made
  double available = 0;
  double desktops_charge = 0;  ///< memory charged to the desktops' parent group
  double desktops_anon = 0;
  double load_charge = 0;  ///< of the load generator, without its page cache
  double load_swap = 0;    ///< of it, swapped out, before compression
  double load_cpu = 0;
  double lab_charge = 0;  ///< of all of the lab, without page cache: nobody else's noise in it
  double desktops_cpu = 0;
  double monitors_cpu = 0;
};

/// panald and what works for it: spawners, throw-away users, the containers' monitors.
inline constexpr const char* kPanaldParts[] = {"panald", "panal-spawner", "panal-prewarm",
                                               "monitor"};

/// Memory and CPU time by kind of program; reading PSS walks page tables, so it is not for every
/// second.
struct Census {
  std::map<std::string, double> pss;  ///< bytes, helpers and load by program name
  /// ns of living processes, by program name. Of kPanaldParts with the threads and the children
  /// that have ended: panald has no group of its own (a node that was brought up by hand is where
  /// its operator was, and spawners sit at the root of the hierarchies), and a throw-away user or a
  /// start's helper that is gone has cost what it has cost.
  std::map<std::string, double> cpu;
  std::map<std::string, int> processes;  ///< of helpers and load, by program name
  std::map<std::string, int> programs;   ///< of desktops, by program name
};

class Sampler {
 public:
  [[nodiscard]] static Result<Sampler> make(const BenchNode& node, const Load& load);

  [[nodiscard]] Result<Sample> sample() const;
  /// `with_memory` false leaves PSS out.
  [[nodiscard]] Result<Census> census(bool with_memory) const;
  /// Waits until the desktops use less than `cores_each` CPU for three seconds running, at most
  /// `patience`. True: they do.
  [[nodiscard]] Result<bool> settle(std::size_t desktops, double cores_each,
                                    std::chrono::seconds patience) const;

 private:
  Sampler(Tree tree, const BenchNode& node, const Load& load)
      : tree_(std::move(tree)), node_(node), load_(load) {}

  Tree tree_;
  const BenchNode& node_;
  const Load& load_;
  double began_ = 0;
};

/// CPU time of a process in ns by its /proc/PID/stat: its own, and of the children it has waited
/// for (fields 14 to 17), in ticks of `tick_ns`. Nothing for a text that is none.
[[nodiscard]] std::optional<double> cpu_with_ended_ns(std::string_view stat, double tick_ns);

/// PSS of a process in bytes. Errors: ESRCH when it has ended.
[[nodiscard]] Result<double> pss_bytes(const Tree& tree, pid_t pid);

}  // namespace panal::bench
