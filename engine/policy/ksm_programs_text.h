#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/policy/ksm_programs.h"

namespace panal::policy {

using KsmProgramMap = std::map<std::string, KsmProgram, std::less<>>;

/// What was learned about programs, to be kept in a file:
///
///   panal-ksm-programs 1
///   xfce/firefox-esr -1683456 12 0 1 3 50
///
/// IMAGE/PROGRAM, then profit in bytes, samples, losses, left out (0 or 1), starts left out, starts
/// until it is tried again. When it was seen is not kept: another boot has another clock.
[[nodiscard]] std::string print_ksm_programs(const KsmProgramMap& programs);

/// Errors: EPROTO with the line's number: another first line, a name or number that is none, a
/// program that stands there twice, more than KsmPrograms::kMost, starts past
/// KsmPrograms::kLastRetry.
[[nodiscard]] Result<KsmProgramMap> parse_ksm_programs(std::string_view text);

}  // namespace panal::policy
