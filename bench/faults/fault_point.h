#pragma once

#include <cstdint>
#include <functional>

/// Stops a piece of work just before one of its system calls that change something: what kill -9,
/// a full disk or a power failure at the worst moment does, for every moment there is.
namespace panal::bench {

/// What becomes of work that was stopped.
enum class AtPoint {
  kKill,     ///< it dies, with all that it started
  kKillOne,  ///< the one process that was about to make the call dies; the others go on
  kGoOn,
};

struct FaultRun {
  unsigned changes = 0;    ///< such calls that were seen, the one it was stopped at included
  bool reached = false;    ///< it was stopped: else it makes fewer such calls
  std::uint64_t call = 0;  ///< number of the system call it was stopped before
  bool finished = false;   ///< it came to its end by itself
  int status = 0;          ///< then: its exit status, or 128 and the number of the signal
  bool lives_on = false;   ///< something of it had to be ended 20 s after the kill, or its end
};

/// Runs `work` in a child and calls `at_point` while it waits before its `nth` such call, counted
/// from 1 (0: at none). Its threads and children count as well, programs that it starts too,
/// whatever process group they are in. Of the caller's other children those that end meanwhile are
/// reaped. After 120 seconds it is ended by SIGALRM.
///
/// For who may filter system calls without no_new_privs (CAP_SYS_ADMIN). x86-64;
/// PTRACE_GET_SYSCALL_INFO is Linux 5.3.
[[nodiscard]] FaultRun run_to_change(unsigned nth, const std::function<int()>& work,
                                     const std::function<AtPoint()>& at_point);

/// The same, and kills it there.
[[nodiscard]] FaultRun run_killed_before(unsigned nth, const std::function<int()>& work);

}  // namespace panal::bench
