#include "storage/recipe/build_process.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "engine/base/kernel_paths.h"
#include "engine/base/mount.h"

namespace panal::storage {
namespace {

/// Ends the child with a sentence on its stderr, which is the build's log.
[[noreturn]] void give_up(const char* what) {
  ::dprintf(STDERR_FILENO, "E: build: %s: %s\n", what, std::strerror(errno));
  ::_exit(126);
}

int status_of(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

[[noreturn]] void exit_as(pid_t child) {
  int status = 0;
  for (;;) {
    // As pid 1 of the namespace it reaps what others left, too.
    const pid_t ended = ::wait(&status);
    if (ended == child) ::_exit(status_of(status));
    if (ended < 0 && errno != EINTR) give_up("wait");
  }
}

void die_with_parent(pid_t parent) {
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (parent != 0 && ::getppid() != parent) ::_exit(125);
}

void make_parents(const std::string& path) {
  for (std::size_t at = 1; (at = path.find('/', at)) != std::string::npos; ++at)
    (void)::mkdir(path.substr(0, at).c_str(), 0755);
  (void)::mkdir(path.c_str(), 0755);
}

void enter_mounts(const BuildCommand& command) {
  if (::unshare(CLONE_NEWNS) != 0) give_up("unshare the mount namespace");
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    give_up("make mounts private");
  // The bare root mount only: a proc that is somewhere read-only could not be mounted anew inside.
  (void)::mount("none", "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr);
  if (::mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=1g") != 0)
    give_up("mount tmpfs at /tmp");
  for (const auto& [fd, target] : command.mounts) {
    make_parents(target);
    if (const auto attached = mount::attach(fd, target); !attached) {
      errno = attached.error().code;
      give_up(target.c_str());
    }
  }
}

void become_root_inside(const BuildCommand& command) {
  if (::setns(command.user_namespace, CLONE_NEWUSER) != 0) give_up("enter the user namespace");
  if (::setgroups(0, nullptr) != 0 || ::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0)
    give_up("become root of the user namespace");
  const int network = command.offline ? CLONE_NEWNET : 0;
  if (::unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | network) != 0)
    give_up("unshare namespaces");
}

[[noreturn]] void run_child(const BuildCommand& command, std::vector<char*>& argv,
                            std::vector<char*>& environment, int output, pid_t parent) {
  die_with_parent(parent);
  const int null = ::open(kernel_paths::kDevNull, O_RDONLY | O_CLOEXEC);
  const int input = command.input >= 0 ? command.input : null;
  if (null < 0 || ::dup2(input, STDIN_FILENO) < 0 || ::dup2(output, STDOUT_FILENO) < 0 ||
      ::dup2(output, STDERR_FILENO) < 0)
    ::_exit(126);
  sigset_t none;
  ::sigemptyset(&none);
  (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
  (void)::signal(SIGPIPE, SIG_DFL);
  enter_mounts(command);
  become_root_inside(command);
  // The processes that only wait must hold no end of a pipe that the program reads from.
  (void)::close_range(3, ~0U, 0);
  die_with_parent(parent);  // a change of ids forgets it
  const pid_t init = ::fork();
  if (init < 0) give_up("fork");
  if (init > 0) exit_as(init);
  // Pid 1 of the new namespace: when it goes, the kernel kills all others.
  die_with_parent(0);
  // The host's proc would show, to whoever has the same host ids, processes that are not the
  // build's.
  if (::mount("proc", kernel_paths::kProc, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
    give_up("mount proc");
  const pid_t program = ::fork();
  if (program < 0) give_up("fork");
  if (program > 0) exit_as(program);
  (void)::setsid();
  if (::chdir("/") != 0) give_up("chdir /");
  ::execvpe(argv[0], argv.data(), environment.data());
  give_up(argv[0]);
}

}  // namespace

Result<BuildProcess> BuildProcess::start(const BuildCommand& command) {
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) return fail_errno("pipe");
  UniqueFd read_end(pipe_fds[0]);
  const UniqueFd write_end(pipe_fds[1]);

  std::vector<std::string> variables = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                                        "LANG=C.UTF-8",
                                        "LC_ALL=C.UTF-8",
                                        "HOME=/tmp",
                                        "TMPDIR=/tmp",
                                        "TERM=dumb",
                                        "DEBIAN_FRONTEND=noninteractive"};
  for (const char* name : {"http_proxy", "https_proxy", "no_proxy"})
    if (const char* value = std::getenv(name); value != nullptr)
      variables.push_back(std::string(name) + "=" + value);
  std::vector<std::string> words = command.argv;
  std::vector<char*> argv;
  std::vector<char*> environment;
  for (auto& word : words) argv.push_back(word.data());
  for (auto& variable : variables) environment.push_back(variable.data());
  argv.push_back(nullptr);
  environment.push_back(nullptr);

  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("fork");
  if (child == 0) run_child(command, argv, environment, write_end.get(), parent);
  auto held = Pidfd::open(child);
  if (!held) {
    (void)::kill(child, SIGKILL);
    (void)::waitpid(child, nullptr, 0);
    return tl::make_unexpected(held.error());
  }
  return BuildProcess(std::move(*held), std::move(read_end));
}

void BuildProcess::kill() {
  if (child_.valid()) (void)child_.send_signal(SIGKILL);
}

Result<int> BuildProcess::wait() {
  if (!child_.valid()) return fail(ECHILD, "wait for a build that was waited for");
  int status = 0;
  while (::waitpid(child_.pid(), &status, 0) < 0) {
    if (errno != EINTR) return fail_errno("wait for the build");
  }
  child_ = Pidfd();
  return status_of(status);
}

BuildProcess::~BuildProcess() {
  if (!child_.valid()) return;
  kill();
  // Until the last of them has closed its end: only then may the tree be deleted under them.
  char rest[4096];
  while (::read(output_.get(), rest, sizeof rest) > 0) {
  }
  (void)wait();
}

}  // namespace panal::storage
