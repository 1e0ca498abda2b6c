#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "netconfine/policy/policy.h"

namespace panal::netconfine {

/// Parses network.toml (docs/network.md, "Policies"). `file` is only for messages.
/// Errors: EPROTO "file:line: what is wrong", with the nearest known word where one is near; the
/// problem that stands first in the file.
[[nodiscard]] Result<PolicySet> parse_policies(const std::string& text, const std::string& file);

/// TOML that parse_policies() reads back as the same set; words like "internet" are written out.
[[nodiscard]] std::string print_policies(const PolicySet& set);
[[nodiscard]] std::string print_service(const Service& service);
[[nodiscard]] std::string print_policy(const NetPolicy& policy);
[[nodiscard]] std::string print_group(const NetGroup& group);

/// [a-z0-9][a-z0-9_-]{0,31}
[[nodiscard]] bool is_policy_name(std::string_view name);

[[nodiscard]] std::string_view to_string(NetLog log);

}  // namespace panal::netconfine
