#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <functional>

/// Kills a piece of work just before one of its system calls that change a file system: what kill
/// -9 at the worst moment leaves, for every moment there is. Needs PTRACE_GET_SYSCALL_INFO
/// (Linux 5.3).
namespace panal::test {

struct KilledRun {
  bool finished = false;   ///< it came to its end: it makes fewer such calls
  int status = 0;          ///< its exit status where it finished
  std::uint64_t call = 0;  ///< number of the system call it was killed before
};

inline bool changes_files(std::uint64_t number, const std::uint64_t* arguments) {
  switch (number) {
    case SYS_openat: return (arguments[2] & O_CREAT) != 0;
    case SYS_open: return (arguments[1] & O_CREAT) != 0;
    case SYS_write:
    case SYS_pwrite64:
    case SYS_writev:
    case SYS_sendfile:
    case SYS_copy_file_range:
    case SYS_ftruncate:
    case SYS_fallocate:
    case SYS_rename:
    case SYS_renameat:
    case SYS_renameat2:
    case SYS_link:
    case SYS_linkat:
    case SYS_symlink:
    case SYS_symlinkat:
    case SYS_unlink:
    case SYS_unlinkat:
    case SYS_mkdir:
    case SYS_mkdirat:
    case SYS_rmdir:
    case SYS_chmod:
    case SYS_fchmod:
    case SYS_fchmodat:
    case SYS_fchown:
    case SYS_fchownat:
    case SYS_utimensat:
    case SYS_fsetxattr:
    case SYS_lsetxattr: return true;  // no sync: only a lost kernel sees the difference
    default: return false;
  }
}

/// Runs `work` in a child and kills it before its `nth` such call, counted from 1.
inline KilledRun run_killed_before(unsigned nth, const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    (void)::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    (void)::raise(SIGSTOP);
    ::_exit(work());
  }
  KilledRun run;
  int status = 0;
  ::waitpid(child, &status, 0);
  (void)::ptrace(PTRACE_SETOPTIONS, child, nullptr,
                 reinterpret_cast<void*>(long{PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL}));
  unsigned seen = 0;
  long signal = 0;
  for (;;) {
    (void)::ptrace(PTRACE_SYSCALL, child, nullptr, reinterpret_cast<void*>(signal));
    signal = 0;
    if (::waitpid(child, &status, 0) != child) return run;
    if (!WIFSTOPPED(status)) {
      run.finished = WIFEXITED(status);
      run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      return run;
    }
    if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
      signal = WSTOPSIG(status);
      continue;
    }
    __ptrace_syscall_info info{};
    (void)::ptrace(PTRACE_GET_SYSCALL_INFO, child, reinterpret_cast<void*>(sizeof info), &info);
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY) continue;
    if (!changes_files(info.entry.nr, info.entry.args)) continue;
    if (++seen < nth) continue;
    run.call = info.entry.nr;
    (void)::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    return run;
  }
}

}  // namespace panal::test
