// panal-agent: init of a desktop. Static and without NSS, so that it runs in any image.
#include <unistd.h>

#include "runtime/agent/abi_filter.h"
#include "runtime/agent/agent.h"
#include "runtime/agent/agent_log.h"

int main(int argc, char** argv) {
  using namespace panal::agent;
  if (argc > 1) return dialog_answer(argc, argv);
  if (::getpid() != 1) {
    log_line("not_init", {{"reason", "panal-agent is started by panald as a desktop's init"}});
  } else if (const auto filter = install_abi_filter(); !filter) {
    log_line("start_failed", {{"reason", filter.error().message()}});
    return 1;
  }
  Agent agent(kAgentSocket);
  const auto status = agent.run();
  if (!status) {
    log_line("start_failed", {{"reason", status.error().message()}});
    return 1;
  }
  return *status;
}
