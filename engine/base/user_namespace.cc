#include "engine/base/user_namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "engine/base/cleanup.h"
#include "engine/base/kernel_paths.h"

namespace panal {
namespace {

Result<void> write_map(const std::string& path, const std::string& map) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return fail_errno("open", path);
  if (::write(fd.get(), map.data(), map.size()) < 0) return fail_errno("write", path);
  return {};
}

}  // namespace

Result<UserNamespace> UserNamespace::create(std::uint32_t first, std::uint32_t count) {
  if (count == 0) return fail(EINVAL, "user namespace: an empty id range");
  // A raw clone: the child only waits to be killed, so it may share nothing with libc's state.
  // CLONE_FILES: it must not keep copies of our descriptors open, however short it lives.
  const pid_t self = ::getpid();
  const long made = ::syscall(SYS_clone, CLONE_NEWUSER | CLONE_FILES | SIGCHLD, nullptr, nullptr,
                              nullptr, nullptr);
  if (made == 0) {
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    // A parent that was killed before that sends nothing, and what stays has all its descriptors.
    if (::syscall(SYS_getppid) != self) ::syscall(SYS_exit, 1);
    for (;;) ::syscall(SYS_pause);
  }
  if (made < 0) return fail_errno("make a user namespace");
  const auto child = static_cast<pid_t>(made);
  const Cleanup end([child] {
    (void)::kill(child, SIGKILL);
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  });
  const std::string base = std::string(kernel_paths::kProc) + "/" + std::to_string(child);
  const std::string map = "0 " + std::to_string(first) + " " + std::to_string(count) + "\n";
  PANAL_TRY(write_map(base + "/uid_map", map));
  PANAL_TRY(write_map(base + "/gid_map", map));
  UniqueFd fd(::open((base + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno("open", base + "/ns/user");
  return UserNamespace(std::move(fd));
}

}  // namespace panal
