#include "runtime/store/child.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "engine/base/kernel_paths.h"
#include "engine/base/log.h"

namespace panal::store {
namespace {

/// Only async-signal-safe calls from here to exec: the parent may have threads.
[[noreturn]] void fail_in_child(const char* what) {
  const char* reason = ::strerrordesc_np(errno);
  for (const char* part : {what, ": ", reason == nullptr ? "error" : reason, "\n"})
    if (::write(STDERR_FILENO, part, std::strlen(part)) < 0) break;
  ::_exit(127);
}

[[noreturn]] void become(const ServerProgram& program, const UniqueFd& output, int empty_input,
                         char* const* arguments, char* const* environment) {
  ::dup2(empty_input, STDIN_FILENO);
  ::dup2(output.get(), STDOUT_FILENO);
  ::dup2(output.get(), STDERR_FILENO);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();
  if (program.uid != ::geteuid()) {
    const gid_t group = program.gid;
    if (::setgroups(1, &group) != 0) fail_in_child("setgroups");
    if (::setgid(program.gid) != 0) fail_in_child("setgid");
    if (::setuid(program.uid) != 0) fail_in_child("setuid");
  }
  if (::chdir(program.directory.c_str()) != 0) fail_in_child("chdir");
  ::execve(arguments[0], arguments, environment);
  fail_in_child("execve");
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (const std::string& text : texts) list.push_back(const_cast<char*>(text.c_str()));
  list.push_back(nullptr);
  return list;
}

}  // namespace

Result<Pidfd> spawn(const ServerProgram& program, const UniqueFd& output) {
  const UniqueFd empty_input(::open(kernel_paths::kDevNull, O_RDONLY | O_CLOEXEC));
  if (!empty_input) return fail_errno("open", kernel_paths::kDevNull);
  const std::vector<char*> arguments = pointers(program.argv);
  const std::vector<char*> environment = pointers(program.environment);
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("fork", program.argv[0]);
  if (pid == 0) become(program, output, empty_input.get(), arguments.data(), environment.data());
  return Pidfd::open(pid);  // our child: it cannot be gone before we reap it
}

Result<void> run_to_end(const ServerProgram& program) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe2");
  UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  PANAL_ASSIGN(auto child, spawn(program, writing));
  writing.reset();
  std::string said;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(reading.get(), buffer, sizeof buffer)) != 0;) {
    if (got < 0 && errno != EINTR) break;
    if (got > 0) said.append(buffer, static_cast<std::size_t>(got));
    constexpr std::size_t kMost = 2048;  // the cause is in the last lines
    if (said.size() > kMost) said.erase(0, said.size() - kMost);
  }
  int status = 0;
  while (::waitpid(child.pid(), &status, 0) < 0)
    if (errno != EINTR) return fail_errno("waitpid", program.argv[0]);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return fail(EPROTO, std::filesystem::path(program.argv[0]).filename().string() +
                          " failed: " + printable(said, 2048));
}

}  // namespace panal::store
