#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/kernel/cgroup.h"
#include "engine/policy/admission.h"
#include "engine/policy/recent_starts.h"
#include "engine/policy/start_gate.h"
#include "runtime/optimiser/census.h"
#include "runtime/optimiser/counted.h"
#include "runtime/optimiser/kernel_limits.h"
#include "runtime/optimiser/long_rates.h"

namespace panal::optimiser {

/// Why a start does not begin now.
struct StartWait {
  std::string reason;         ///< a sentence with numbers
  bool no_room = false;       ///< it will not fit, however long it waits, unless something ends
  std::string_view resource;  ///< of which there is too little; one of kStartWaits
};

/// While the last resort keeps the door shut, for what Rescuer::closed() says.
[[nodiscard]] StartWait shut_by_last_resort(std::string why);

/// Says whether one more desktop may start: by what the host and the desktops' groups have left of
/// each resource, whichever has the fewest left, as measured on this node, and by how well the host
/// bears the starts that run (policy::StartGate). For one thread.
///
/// Of a group's limit it counts what is below it and page cache, no swap: making room by paging
/// out those that nobody looks at is the shaver's work; at the limit the kernel takes from anybody.
class Gatekeeper {
 public:
  struct Parts {
    const Tree& tree;  ///< must outlive it
    std::uint64_t reserve_bytes = 0;
    std::uint32_t most_at_once = 8;  ///< as many workers as there are
    /// The desktops' parent and whatever is above it (enclosing_groups()).
    std::vector<kernel::Cgroup> groups = {};
    policy::StartGateConfig gate = {};
    std::uint32_t id_ranges = 0;  ///< one a desktop; 0: not known
    std::uint32_t addresses = 0;  ///< of the desktops' network, one a desktop; 0: not known
    std::function<MonotonicNs()> now = nullptr;  ///< none: CLOCK_MONOTONIC
  };
  explicit Gatekeeper(Parts parts);

  /// `in_flight`: starts under way. nullopt: it may begin. What cannot be read keeps nobody out.
  /// What it last answered is in report() while starts wait.
  [[nodiscard]] std::optional<StartWait> ask(std::string_view image, std::uint32_t in_flight);
  /// One ended, well or ill.
  void ended(std::chrono::nanoseconds took);
  /// A desktop runs, also one that ran before this panald did; or no more.
  void came(DesktopId id, std::string_view image);
  void gone(DesktopId id) { census_.gone(id); }
  /// So many bytes went to a client.
  void flowed(std::uint64_t bytes) { rates_.flowed(bytes); }
  /// What was last seen of each desktop, before learn(); and ksmd's CPU time since boot, which is
  /// not counted: it gives way.
  void saw(const std::vector<GroupSnapshot>& desktops, std::uint64_t ksmd_cpu_ns);
  /// A moment at which nothing starts or stops: what so many desktops take of the host. Call it
  /// each half minute while that is so.
  void learn(std::size_t running);

  /// "12 more desktops fit, by what this node measured; memory runs out first", from the last look,
  /// in the mean of those that run; where they are of several images, then for each.
  [[nodiscard]] std::string room() const;
  /// The same as numbers; policy::kNoEnd: not known yet, or nothing ends it.
  [[nodiscard]] policy::Capacity capacity() const { return policy::capacity(resources({})); }
  /// All that is counted, from the last look, for a desktop of this image; empty: for the mean of
  /// those that run.
  [[nodiscard]] std::vector<policy::Resource> resources(std::string_view image) const;
  /// What `stats` has of it: each resource, and the room of each image that runs.
  [[nodiscard]] nlohmann::json report() const;

 private:
  struct Look;
  [[nodiscard]] Result<Look> look() const;
  [[nodiscard]] std::optional<StartWait> decide(std::string_view image, std::uint32_t in_flight);
  void count(const Look& look, std::uint32_t in_flight);
  void count_memory(const Look& look);
  void count_exact(double desktops);
  /// Those that started lately will take more: counts it as used, where that was measured.
  void expect();
  /// How much dearer one of this image is than one of weight 1.
  [[nodiscard]] double weight(const Counted& one, std::string_view image) const;

  Parts parts_;
  policy::StartGate gate_;
  policy::RecentStarts lately_;
  Census census_;
  Learnt memory_, tasks_;
  std::vector<Learnt> in_groups_;  ///< memory, in the order of Parts::groups
  KernelLimits limits_;
  MonotonicNs limits_at_ns_ = 0;  ///< 0: not looked at yet
  LongRates rates_;
  std::vector<Counted> seen_;
  std::string waits_;  ///< why the last that asked waits; empty: it does not
  MonotonicNs asked_at_ns_ = 0;
};

}  // namespace panal::optimiser
