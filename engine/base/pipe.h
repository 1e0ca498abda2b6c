#pragma once

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal {

/// What is written to one end comes out of the other; both are close-on-exec, and both block.
struct Pipe {
  UniqueFd read = {};
  UniqueFd write = {};
};

/// Errors: EMFILE, ENFILE.
[[nodiscard]] Result<Pipe> make_pipe();

}  // namespace panal
