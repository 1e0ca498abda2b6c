#pragma once

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

/// Kills a piece of work just before one of its system calls that change something (a file system,
/// if nothing else is said): what kill -9 at the worst moment leaves, for every moment there is.
/// The work is one thread's. x86-64; PTRACE_GET_SYSCALL_INFO is
/// Linux 5.3.
namespace panal::test {

struct KilledRun {
  bool finished = false;   ///< it came to its end: it makes fewer such calls
  int status = 0;          ///< its exit status where it finished
  std::uint64_t call = 0;  ///< number of the system call it was killed before
};

/// No sync: only a lost kernel sees the difference.
inline constexpr std::array kChangingCalls = {
    SYS_openat,    SYS_open,      SYS_write,           SYS_pwrite64,  SYS_writev,   SYS_sendfile,
    SYS_ftruncate, SYS_fallocate, SYS_copy_file_range, SYS_rename,    SYS_renameat, SYS_renameat2,
    SYS_link,      SYS_linkat,    SYS_symlink,         SYS_symlinkat, SYS_unlink,   SYS_unlinkat,
    SYS_mkdir,     SYS_mkdirat,   SYS_rmdir,           SYS_chmod,     SYS_fchmod,   SYS_fchmodat,
    SYS_fchown,    SYS_fchownat,  SYS_utimensat,       SYS_fsetxattr, SYS_lsetxattr};

/// Has the kernel stop this process for its tracer at these calls, and at no others: stopping at
/// each of the thousands would take most of the time.
inline bool stop_at_calls(std::span<const int> calls) {
  std::vector<sock_filter> program;
  program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
  for (const int call : calls) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

/// Opening changes something only where it makes a file.
inline bool is_change(std::uint64_t number, const std::uint64_t* arguments) {
  if (number == SYS_openat) return (arguments[2] & O_CREAT) != 0;
  if (number == SYS_open) return (arguments[1] & O_CREAT) != 0;
  return true;
}

/// Runs `work` in a child and kills it before its `nth` such call, counted from 1.
inline KilledRun run_killed_before(unsigned nth, const std::function<int()>& work,
                                   std::span<const int> calls = kChangingCalls) {
  const pid_t child = ::fork();
  if (child == 0) {
    (void)::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    (void)::raise(SIGSTOP);
    if (!stop_at_calls(calls)) ::_exit(99);
    ::_exit(work());
  }
  KilledRun run;
  int status = 0;
  ::waitpid(child, &status, 0);
  (void)::ptrace(PTRACE_SETOPTIONS, child, nullptr,
                 reinterpret_cast<void*>(long{PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL}));
  unsigned seen = 0;
  long signal = 0;
  for (;;) {
    (void)::ptrace(PTRACE_CONT, child, nullptr, reinterpret_cast<void*>(signal));
    signal = 0;
    if (::waitpid(child, &status, 0) != child) return run;
    if (!WIFSTOPPED(status)) {
      run.finished = WIFEXITED(status);
      run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      return run;
    }
    if (status >> 8 != (SIGTRAP | (PTRACE_EVENT_SECCOMP << 8))) {
      signal = WSTOPSIG(status);
      continue;
    }
    __ptrace_syscall_info info{};
    (void)::ptrace(PTRACE_GET_SYSCALL_INFO, child, reinterpret_cast<void*>(sizeof info), &info);
    if (info.op != PTRACE_SYSCALL_INFO_SECCOMP) continue;
    if (!is_change(info.seccomp.nr, info.seccomp.args) || ++seen < nth) continue;
    run.call = info.seccomp.nr;
    (void)::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    return run;
  }
}

}  // namespace panal::test
