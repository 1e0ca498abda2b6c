#include "netconfine/netlink/enter.h"

#include <sched.h>

#include <system_error>
#include <thread>

namespace panal::netconfine {

Result<void> run_inside(const UniqueFd& network_namespace,
                        const std::function<Result<void>()>& work) {
  Result<void> result;
  try {
    std::thread([&] {
      if (setns(network_namespace.get(), CLONE_NEWNET) != 0) {
        result = fail_errno("enter a network namespace");
      } else {
        result = work();
      }
    }).join();
  } catch (const std::system_error& error) {
    return fail(error.code().value(), "start a thread to enter a network namespace");
  }
  return result;
}

}  // namespace panal::netconfine
