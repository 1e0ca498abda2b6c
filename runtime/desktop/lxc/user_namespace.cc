#include "runtime/desktop/lxc/user_namespace.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "engine/base/cleanup.h"
#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"

namespace panal::desktop::lxc {
namespace {

/// The child: tells errno (0 = done) and stays until it is killed.
[[noreturn]] void hold_namespace(int socket, IdRange ids, pid_t parent) {
  int error = 0;
  if (::setgroups(0, nullptr) != 0 || ::setresgid(ids.first, ids.first, ids.first) != 0 ||
      ::setresuid(ids.first, ids.first, ids.first) != 0 || ::unshare(CLONE_NEWUSER) != 0)
    error = errno;
  // Only now: setresuid clears it.
  end_with_parent(parent);
  (void)::write(socket, &error, sizeof error);
  for (;;) ::pause();
}

}  // namespace

void end_with_parent(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // One that died before has sent no signal, and a child that lives on keeps panald waiting: it
  // holds the spawner's end of the socket.
  if (::getppid() != parent) ::_exit(1);
}

Result<UniqueFd> make_user_namespace(IdRange ids) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return fail_errno("socketpair");
  UniqueFd ours(pair[0]);
  UniqueFd theirs(pair[1]);
  const pid_t self = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("fork for a user namespace");
  if (child == 0) hold_namespace(theirs.get(), ids, self);
  const Cleanup reap([child] {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  });
  theirs.reset();
  int error = 0;
  const ssize_t got = ::read(ours.get(), &error, sizeof error);
  if (got != static_cast<ssize_t>(sizeof error))
    return fail(ECHILD, "the child that makes a user namespace died");
  if (error != 0) return fail(error, "make a user namespace as uid " + std::to_string(ids.first));

  PANAL_ASSIGN(const Dir process,
               Dir::open(std::string(kernel_paths::kProc) + "/" + std::to_string(child)));
  const std::string map = "0 " + std::to_string(ids.first) + " " + std::to_string(ids.count) + "\n";
  PANAL_TRY(process.write("uid_map", map));
  PANAL_TRY(process.write("gid_map", map));
  return process.open_file("ns/user", O_RDONLY);
}

}  // namespace panal::desktop::lxc
