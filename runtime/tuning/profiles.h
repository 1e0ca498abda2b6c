#pragma once

#include <string>
#include <vector>

#include "engine/base/tree.h"
#include "engine/profile/plan.h"
#include "engine/profile/profile.h"
#include "runtime/config/config.h"

namespace panal::tuning {

/// A word that names a profile: of one in the profiles directory, or a file (with a slash or
/// .toml).
[[nodiscard]] std::string profile_file(const config::Config& config, const std::string& word);

/// Reads the profile and those it is based on, which are in the profiles directory.
/// Errors: ENOENT "there is no profile ..." with the nearest name; EPROTO "file:line: ...".
[[nodiscard]] Result<profile::Profile> load_profile(const config::Config& config,
                                                    const std::string& word);

/// Names of the profiles in the profiles directory, sorted. Errors: ENOENT, EACCES.
[[nodiscard]] Result<std::vector<std::string>> profile_names(const config::Config& config);

/// What a plan must know of the host. `state_dir`: Machine::state_dir, which need not be there yet.
[[nodiscard]] Result<profile::HostFacts> read_host_facts(const Tree& tree,
                                                         const std::string& state_dir);

}  // namespace panal::tuning
