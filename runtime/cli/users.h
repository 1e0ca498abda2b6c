#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "runtime/store/store.h"

namespace panal::cli {

inline constexpr const char* kDefaultTenant = "default";

/// `wanted` if nobody of the tenant has it; for 0 the one after the highest in use, from 1000.
/// Errors: EEXIST, EINVAL when none is left.
[[nodiscard]] Result<std::uint32_t> choose_uid(const std::vector<store::User>& users,
                                               const std::string& tenant, std::uint32_t wanted);

/// The sentences for an unknown user and an unknown tenant.
[[nodiscard]] std::string no_such_user(const std::string& tenant, const std::string& login);
[[nodiscard]] std::string no_such_tenant(const std::string& name);

}  // namespace panal::cli
