#pragma once

#include <string>

#include "bench/density/effects.h"
#include "bench/density/ksm_compare.h"
#include "bench/density/reconnect.h"
#include "bench/density/takers.h"
#include "engine/base/result.h"

/// One run each that sets several things beside each other: told in a few lines on stdout, and all
/// of it as JSON into `file` where one is named. Errors: what could not be measured; those of
/// write_file().
namespace panal::bench {

[[nodiscard]] Result<void> compare_ksm(const KsmOptions& options, const std::string& file);
[[nodiscard]] Result<void> compare_reconnects(const ReconnectOptions& options,
                                              const std::string& file);
[[nodiscard]] Result<void> compare_effects(const EffectsOptions& options, const std::string& file);
[[nodiscard]] Result<void> compare_takers(const TakersOptions& options, const std::string& file);

}  // namespace panal::bench
