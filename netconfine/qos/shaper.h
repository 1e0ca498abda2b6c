#pragma once

#include <map>
#include <string>
#include <vector>

#include "netconfine/firewall/backend.h"
#include "netconfine/link/find_link.h"
#include "netconfine/netlink/steps.h"
#include "netconfine/qos/shape_plan.h"
#include "netconfine/qos/tc_parse.h"

namespace panal::netconfine {

/// Where the kernel differs from what is meant, and what to do about it.
struct Difference {
  std::vector<Drift> drifts;
  std::vector<Step> steps;
};

/// One direction: its `ifb` link and the tree on it. It speaks to the kernel over a socket that is
/// lent to each call.
class Shaper {
 public:
  Shaper(Direction direction, const LineLimits& line);

  [[nodiscard]] const char* name() const;
  [[nodiscard]] ShapePlan& plan() { return plan_; }
  [[nodiscard]] int index() const { return index_; }

  /// Finds the link, or makes it, with HTB and classifier. True when it was made.
  [[nodiscard]] Result<bool> ensure(NetlinkSocket& socket);
  void set_queue(LeafQueue queue) { queue_ = queue; }
  /// fq_codel where the kernel takes it. After ensure().
  [[nodiscard]] Result<LeafQueue> choose_queue(NetlinkSocket& socket);

  /// The steps for what every tree has: the root, the class of strays, the classifier.
  [[nodiscard]] std::vector<Step> base_steps() const;
  /// The steps for changes of the plan.
  [[nodiscard]] std::vector<Step> steps(const ShapePlan::Changes& changes) const;
  /// The steps that put a link's redirect right: there or not there.
  [[nodiscard]] std::vector<Step> redirect_steps(int link, const Addresses& addresses) const;

  /// Compares classes, queues and classifier with the plan.
  [[nodiscard]] Result<void> compare(NetlinkSocket& socket, const std::vector<FoundQdisc>& qdiscs,
                                     Difference& difference) const;
  /// Compares one link's redirect; `meant` null: there must be none.
  [[nodiscard]] Result<void> compare_link(NetlinkSocket& socket, const FoundLink& link,
                                          bool has_clsact, const Addresses* meant,
                                          Difference& difference) const;
  [[nodiscard]] Result<std::vector<FoundClass>> classes(NetlinkSocket& socket) const;

 private:
  [[nodiscard]] Result<std::vector<FoundFilter>> filters(NetlinkSocket& socket, int link,
                                                         std::uint32_t parent) const;
  void put_steps(const ShapeClass& shape, std::vector<Step>& steps) const;

  ShapePlan plan_;
  int index_ = 0;
  LeafQueue queue_ = LeafQueue::kFifo;
};

[[nodiscard]] Result<std::vector<FoundQdisc>> all_qdiscs(NetlinkSocket& socket);

}  // namespace panal::netconfine
