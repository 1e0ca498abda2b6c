#pragma once

#include <chrono>
#include <cstdint>
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

namespace panal::optimiser {

/// Why a start does not begin now.
struct StartWait {
  std::string reason;    ///< a sentence with numbers
  bool no_room = false;  ///< it will not fit, however long it waits, unless something ends
  std::string_view resource = "queue";  ///< of which there is too little; one of kStartWaits
};

/// Says whether one more desktop may start: by what the host and the desktops' groups have left,
/// whichever has less, as measured on this node, and by how well the host bears the starts that
/// run (policy::StartGate). For one thread.
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
  };
  explicit Gatekeeper(Parts parts)
      : parts_(std::move(parts)), gate_(parts_.gate), in_groups_(parts_.groups.size()) {}

  /// `in_flight`: starts under way. nullopt: it may begin. What cannot be read keeps nobody out.
  [[nodiscard]] std::optional<StartWait> ask(std::string_view image, std::uint32_t in_flight);
  /// One ended, well or ill.
  void ended(std::chrono::nanoseconds took);
  /// A moment at which nothing starts or stops: what so many desktops take of the host. Call it
  /// about once a minute.
  void learn(std::size_t running);
  /// "12 more desktops fit; memory runs out first", from the last look.
  [[nodiscard]] std::string room() const;
  /// The same as numbers; `more` 1,000,000: not known yet, or nothing ends it.
  [[nodiscard]] policy::Capacity capacity() const { return policy::capacity(last_); }

 private:
  struct Look;
  [[nodiscard]] Result<Look> look() const;
  [[nodiscard]] std::vector<policy::Resource> resources(const Look& look) const;
  /// Those that started lately will take more: counts it as used, where that was measured.
  void expect(std::vector<policy::Resource>& all);

  Parts parts_;
  policy::StartGate gate_;
  policy::RecentStarts lately_;
  policy::CostSamples memory_, tasks_;
  std::vector<policy::CostSamples> in_groups_;  ///< memory, in the order of Parts::groups
  std::vector<policy::Resource> last_;
};

}  // namespace panal::optimiser
