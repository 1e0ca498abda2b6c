#include "bench/faults/fault_point.h"

#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace panal::bench {
namespace {

constexpr unsigned kMostSeconds = 120;
constexpr int kNoFilter = 99;
/// By when all of it must have ended after a kill or its own end: helpers die with who started
/// them.
constexpr std::chrono::seconds kMostDying{20};
constexpr unsigned kTickUs = 200;

/// Syncs too: after them a power failure finds other bytes. What is sent may change a database.
constexpr std::array kChangingCalls = {
    SYS_openat,          SYS_open,       SYS_write,     SYS_pwrite64,  SYS_writev,
    SYS_pwritev,         SYS_sendfile,   SYS_ftruncate, SYS_truncate,  SYS_fallocate,
    SYS_copy_file_range, SYS_rename,     SYS_renameat,  SYS_renameat2, SYS_link,
    SYS_linkat,          SYS_symlink,    SYS_symlinkat, SYS_unlink,    SYS_unlinkat,
    SYS_mkdir,           SYS_mkdirat,    SYS_mknod,     SYS_mknodat,   SYS_rmdir,
    SYS_chmod,           SYS_fchmod,     SYS_fchmodat,  SYS_chown,     SYS_fchown,
    SYS_lchown,          SYS_fchownat,   SYS_utimensat, SYS_setxattr,  SYS_lsetxattr,
    SYS_fsetxattr,       SYS_fsync,      SYS_fdatasync, SYS_syncfs,    SYS_mount,
    SYS_umount2,         SYS_move_mount, SYS_open_tree, SYS_fsconfig,  SYS_fsmount,
    SYS_mount_setattr,   SYS_ioctl,      SYS_sendto};

/// Of ioctl(2): clones of files, subvolumes, loop devices.
constexpr std::array<std::uint64_t, 8> kChangingRequests = {FICLONE,
                                                            LOOP_CONFIGURE,
                                                            BTRFS_IOC_SUBVOL_CREATE,
                                                            BTRFS_IOC_SUBVOL_CREATE_V2,
                                                            BTRFS_IOC_SNAP_CREATE_V2,
                                                            BTRFS_IOC_SNAP_DESTROY,
                                                            BTRFS_IOC_SNAP_DESTROY_V2,
                                                            BTRFS_IOC_SUBVOL_SETFLAGS};

/// Has the kernel stop this process for its tracer at these calls, and at no others: stopping at
/// each of the thousands would take most of the time.
bool stop_at_changing_calls() {
  std::vector<sock_filter> program;
  program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
  for (const long call : kChangingCalls) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

/// Opening changes something only where it makes a file.
bool is_change(std::uint64_t number, const std::uint64_t* arguments) {
  if (number == SYS_openat) return (arguments[2] & (O_CREAT | O_TRUNC)) != 0;
  if (number == SYS_open) return (arguments[1] & (O_CREAT | O_TRUNC)) != 0;
  if (number == SYS_open_tree) return (arguments[2] & OPEN_TREE_CLONE) != 0;
  if (number == SYS_ioctl)
    return std::find(kChangingRequests.begin(), kChangingRequests.end(),
                     arguments[1] & 0xffffffffU) != kChangingRequests.end();
  return true;
}

[[noreturn]] void be_traced(const std::function<int()>& work) {
  (void)::setpgid(0, 0);
  (void)::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  (void)::raise(SIGSTOP);
  if (!stop_at_changing_calls()) ::_exit(kNoFilter);
  ::alarm(kMostSeconds);
  ::_exit(work());
}

/// The child and what it started, until all of them have ended. Some leave its process group and
/// its session, and the caller may have children that have nothing to do with it: so they are known
/// by their numbers.
class Traced {
 public:
  explicit Traced(pid_t child) : child_(child), known_{child}, alive_{child} {}

  FaultRun follow(unsigned nth, const std::function<AtPoint()>& at_point) {
    int status = 0;
    (void)::waitpid(child_, &status, __WALL);
    // Without the one for exec(2) a program would be sent a signal when it starts.
    constexpr long kOptions = PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE |
                              PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;
    (void)::ptrace(PTRACE_SETOPTIONS, child_, nullptr, reinterpret_cast<void*>(kOptions));
    go_on(child_, 0);
    while (!alive_.empty()) {
      const pid_t process = next(status);
      if (process < 0) break;  // none is left
      if (process == 0) {
        if (std::exchange(run_.lives_on, true)) break;  // not even SIGKILL ends it
        kill_all();
      } else if (WIFSTOPPED(status)) {
        look_at(process, status, nth, at_point);
      } else {
        ended(process, status);
      }
    }
    return run_;
  }

 private:
  static void go_on(pid_t process, long signal) {
    (void)::ptrace(PTRACE_CONT, process, nullptr, reinterpret_cast<void*>(signal));
  }

  /// Waits for one that stops or ends; 0: it is time that all had ended.
  pid_t next(int& status) const {
    for (;;) {
      const pid_t found = ::waitpid(-1, &status, dead_by_ ? __WALL | WNOHANG : __WALL);
      if (found > 0) return found;
      if (found < 0 && errno != EINTR) return found;
      if (!dead_by_) continue;
      if (std::chrono::steady_clock::now() > *dead_by_) return 0;
      ::usleep(kTickUs);
    }
  }

  void expect_end() { dead_by_ = std::chrono::steady_clock::now() + kMostDying; }

  void ended(pid_t process, int status) {
    known_.insert(process);
    alive_.erase(process);
    if (process != child_) return;
    run_.finished = !killed_;
    run_.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    // The alarm was the child's own: what it has left would be waited for without end.
    if (!dead_by_) expect_end();
  }

  void look_at(pid_t process, int status, unsigned nth, const std::function<AtPoint()>& at_point) {
    const int event = status >> 16;
    const bool is_new = known_.insert(process).second;
    if (is_new) alive_.insert(process);
    if (is_new && all_are_to_die_) {
      (void)::kill(process, SIGKILL);
      return;
    }
    if (event == 0) {
      // A new one begins with a stop of the tracing's own.
      const int signal = WSTOPSIG(status);
      return go_on(process, is_new && signal == SIGSTOP ? 0 : signal);
    }
    if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK)
      expect_child_of(process);
    if (event == PTRACE_EVENT_EXEC) forget_former_number_of(process);
    if (event == PTRACE_EVENT_SECCOMP && !killed_ && counts(process) && ++run_.changes == nth) {
      run_.reached = true;
      run_.call = call_;
      const AtPoint what = at_point();
      if (what != AtPoint::kGoOn) {
        killed_ = true;
        expect_end();
        if (what == AtPoint::kKill)
          kill_all();
        else
          (void)::kill(process, SIGKILL);
        return;
      }
    }
    go_on(process, 0);
  }

  /// It is alive before it is first heard of, unless it has been already.
  void expect_child_of(pid_t process) {
    unsigned long number = 0;
    if (::ptrace(PTRACE_GETEVENTMSG, process, nullptr, &number) != 0) return;
    const auto child = static_cast<pid_t>(number);
    if (!known_.contains(child)) alive_.insert(child);
  }

  /// A thread that starts a program takes its process's number: of its own nothing is heard again.
  void forget_former_number_of(pid_t process) {
    unsigned long number = 0;
    if (::ptrace(PTRACE_GETEVENTMSG, process, nullptr, &number) != 0) return;
    if (const auto former = static_cast<pid_t>(number); former != process) alive_.erase(former);
  }

  void kill_all() {
    all_are_to_die_ = true;
    expect_end();
    // Whom a dying process has just started is in its group, and may not have been heard of.
    std::set<pid_t> groups = {child_};
    for (const pid_t process : alive_)
      if (const pid_t group = ::getpgid(process); group > 1 && group != ::getpgrp())
        groups.insert(group);
    for (const pid_t group : groups) (void)::kill(-group, SIGKILL);
    for (const pid_t process : alive_) (void)::kill(process, SIGKILL);
  }

  bool counts(pid_t process) {
    __ptrace_syscall_info info{};
    (void)::ptrace(PTRACE_GET_SYSCALL_INFO, process, reinterpret_cast<void*>(sizeof info), &info);
    if (info.op != PTRACE_SYSCALL_INFO_SECCOMP) return false;
    call_ = info.seccomp.nr;
    return is_change(info.seccomp.nr, info.seccomp.args);
  }

  pid_t child_;
  std::set<pid_t> known_;  ///< that were heard of
  std::set<pid_t> alive_;  ///< processes and threads
  FaultRun run_;
  std::uint64_t call_ = 0;
  bool killed_ = false;
  bool all_are_to_die_ = false;
  /// Once it is killed, or the child has ended.
  std::optional<std::chrono::steady_clock::time_point> dead_by_;
};

}  // namespace

FaultRun run_to_change(unsigned nth, const std::function<int()>& work,
                       const std::function<AtPoint()>& at_point) {
  const pid_t child = ::fork();
  if (child < 0) return {};
  if (child == 0) be_traced(work);
  return Traced(child).follow(nth, at_point);
}

FaultRun run_killed_before(unsigned nth, const std::function<int()>& work) {
  return run_to_change(nth, work, [] { return AtPoint::kKill; });
}

}  // namespace panal::bench
