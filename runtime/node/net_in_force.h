#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"
#include "runtime/netpolicy/plan.h"

namespace panal::node {

/// How many of `now`'s desktops it treats otherwise than `then`.
[[nodiscard]] std::size_t concerned(const netpolicy::Plan& then, const netpolicy::Plan& now);

/// What was in force when a panald ended: of which a plan is made again.
struct RulesBefore {
  netconfine::PolicySet set;
  std::vector<store::DesktopNetPolicy> rows;
};
[[nodiscard]] std::string print_in_force(const netpolicy::Plan& plan);
/// Errors: EPROTO.
[[nodiscard]] Result<RulesBefore> parse_in_force(const std::string& text);

/// Replaces <run_dir>/network.in-force by one rename. It need not outlive a boot: nor do desktops.
[[nodiscard]] Result<void> write_in_force(const std::string& run_dir, const netpolicy::Plan& plan);
/// Errors: ENOENT, EPROTO, those of read(2).
[[nodiscard]] Result<RulesBefore> read_in_force(const std::string& run_dir);

}  // namespace panal::node
