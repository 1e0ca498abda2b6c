#include "runtime/cli/broker_workers.h"

#include <signal.h>

#include <algorithm>

#include "engine/base/process_marks.h"
#include "runtime/cli/node_state.h"

namespace panal::cli {

Result<std::size_t> end_broker_workers(const config::Config& config,
                                       std::chrono::milliseconds grace) {
  // Again, because one that holds more than its mark hides others.
  constexpr int kRounds = 5;
  std::size_t ended = 0;
  for (int round = 0; round < kRounds; ++round) {
    PANAL_ASSIGN(const auto workers, marked_processes(config.broker_workers_file()));
    if (workers.empty()) break;
    for (const Pidfd& worker : workers) (void)worker.send_signal(SIGTERM);  // one may have ended
    const auto until = std::chrono::steady_clock::now() + grace;
    for (const Pidfd& worker : workers) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      PANAL_TRY(end_process(worker, 0, std::max(left, std::chrono::milliseconds(0))));
    }
    ended += workers.size();
  }
  return ended;
}

}  // namespace panal::cli
