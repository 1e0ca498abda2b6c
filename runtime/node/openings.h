#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "engine/base/log.h"
#include "engine/base/tree.h"
#include "runtime/config/config.h"
#include "runtime/optimiser/settings.h"
#include "runtime/store/store.h"

namespace panal::node {

/// Tries until the database answers, for up to `limit`. Errors: those of Store::connect().
[[nodiscard]] Result<std::unique_ptr<store::Store>> connect_within(const std::string& conninfo,
                                                                   std::chrono::seconds limit,
                                                                   Logger& log);

/// As the configuration's tuning profile has it, without what this kernel cannot do.
/// Errors: the profile's (ENOENT, EPROTO); of reading the host's memory.
[[nodiscard]] Result<optimiser::Settings> optimiser_settings(const config::Config& config,
                                                             const Tree& tree, Logger& log);

}  // namespace panal::node
