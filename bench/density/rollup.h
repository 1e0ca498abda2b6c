#pragma once

#include <sys/types.h>

#include <string>

#include "engine/base/result.h"
#include "engine/base/tree.h"

namespace panal::bench {

/// PSS of a process in bytes. Errors: ESRCH when it has ended.
[[nodiscard]] Result<double> pss_bytes(const Tree& tree, pid_t pid);
/// The value of `key` ("Pss:") in smaps_rollup's text, in bytes. Errors: EPROTO.
[[nodiscard]] Result<double> parse_rollup(const std::string& text, const std::string& key);

}  // namespace panal::bench
