#pragma once

#include <atomic>
#include <functional>

#include "engine/base/result.h"
#include "runtime/warm/order.h"

namespace panal::warm {

/// How panal-warm is told to end, and tells how far it is; for tests and the program.
struct Doings {
  /// Waits so long, in ms (0: only looks), for the word to end. True: end.
  std::function<bool(int)> told_to_end;
  std::function<void(double fraction)> progress;
};

/// Does what was ordered, in the order's memory group. Ending early is no error: what was done is
/// told. Errors: those of the group (EACCES, ESRCH), of the record and the tree.
[[nodiscard]] Result<Answer> carry_out(const Order& order, const Doings& doings);

/// The whole of panal-warm: words in, progress and answer on standard output, one sentence on
/// standard error. It ends when its standard input does, so that it never outlives panald.
/// Exit code 0; 1 failed; 2 wrong words.
[[nodiscard]] int warm_main(int argc, char** argv);

}  // namespace panal::warm
