#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/policy/policy.h"

namespace panal::netpolicy {

struct PolicyFile {
  std::string path;
  bool there = false;  ///< false: nothing is allowed
  netconfine::PolicySet set;
};

/// Reads network.toml; one that is not there is no error. Errors: EPROTO "file:line: what is
/// wrong"; those of read(2).
[[nodiscard]] Result<PolicyFile> read_policy_file(const std::string& path);

/// What is other in `now` than in `then`, a phrase each: "policy office changed", "service dns
/// added", "default: none -> office".
[[nodiscard]] std::vector<std::string> differences(const netconfine::PolicySet& then,
                                                   const netconfine::PolicySet& now);

}  // namespace panal::netpolicy
