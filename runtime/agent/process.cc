#include "runtime/agent/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <string_view>

#include "engine/base/kernel_paths.h"
#include "engine/base/prctl_numbers.h"

namespace panal::agent {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

/// No NSS here: only numbers from the user record.
bool become(const User& user) {
  std::vector<gid_t> groups;
  groups.push_back(user.gid);
  for (const auto& [name, gid] : user.groups) groups.push_back(gid);
  return ::setgroups(groups.size(), groups.data()) == 0 &&
         ::setresgid(user.gid, user.gid, user.gid) == 0 &&
         ::setresuid(user.uid, user.uid, user.uid) == 0;
}

/// Of merging; inherited by what it starts, until the session guard takes those back in.
bool is_apart(const User& user, std::string_view program) {
  const std::string_view name = program.substr(program.rfind('/') + 1);
  return std::find(user.apart.begin(), user.apart.end(), name) != user.apart.end();
}

[[noreturn]] void run_child(const User& user, const std::vector<char*>& argv,
                            const std::vector<char*>& environment, const std::string& directory,
                            int output, int failure) {
  ::setsid();
  ::umask(022);
  struct sigaction plain{};
  plain.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &plain, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = ::open(kernel_paths::kDevNull, O_RDWR | O_CLOEXEC);
  const bool good =
      null >= 0 && ::dup2(null, 0) >= 0 && ::dup2(output, 1) >= 0 && ::dup2(output, 2) >= 0;
  ::syscall(SYS_close_range, 3U, UINT_MAX, CLOSE_RANGE_CLOEXEC);
  // Without KSM, or in a desktop that is not enlisted, it is refused and nothing is lost.
  if (is_apart(user, argv[0])) ::prctl(kSetMemoryMerge, 0, 0, 0, 0);
  if (good && become(user) && (::chdir(directory.c_str()) == 0 || ::chdir("/") == 0)) {
    ::environ = const_cast<char**>(environment.data());
    ::execvp(argv[0], argv.data());
  }
  const int code = errno;
  [[maybe_unused]] const auto written = ::write(failure, &code, sizeof(code));
  ::_exit(127);
}

Result<std::pair<UniqueFd, UniqueFd>> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("make pipe");
  return std::pair<UniqueFd, UniqueFd>(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

}  // namespace

Result<Child> spawn_as(const User& user, const std::vector<std::string>& argv,
                       const std::vector<std::string>& environment, const std::string& directory) {
  if (argv.empty()) return fail(EINVAL, "start a program without a name");
  PANAL_ASSIGN(auto output, make_pipe());
  PANAL_ASSIGN(auto failure, make_pipe());
  const auto arguments = pointers(argv);
  const auto variables = pointers(environment);
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("fork for", argv[0]);
  if (pid == 0) {
    run_child(user, arguments, variables, directory, output.second.get(), failure.second.get());
  }
  failure.second.reset();
  int code = 0;
  ssize_t count = 0;
  do {
    count = ::read(failure.first.get(), &code, sizeof(code));
  } while (count < 0 && errno == EINTR);
  if (count == sizeof(code)) {
    ::waitpid(pid, nullptr, 0);
    return fail(code, "start " + argv[0]);
  }
  Child child{.pid = pid, .output = std::move(output.first)};
  ::fcntl(child.output.get(), F_SETFL, O_NONBLOCK);
  return child;
}

std::string describe_exit(int wait_status) {
  if (WIFEXITED(wait_status)) return "exit status " + std::to_string(WEXITSTATUS(wait_status));
  return "signal " + std::to_string(WTERMSIG(wait_status));
}

void end_group(pid_t group) {
  if (group <= 1) return;
  ::kill(-group, SIGKILL);
  for (int i = 0; i < 1000; ++i) {
    // Orphans are an init's own children, and count as members until they are reaped.
    while (::waitpid(-group, nullptr, WNOHANG) > 0) {
    }
    if (::kill(-group, 0) != 0 && errno == ESRCH) return;
    ::usleep(1000);
  }
}

void signal_all_of(const User& user, int signal) {
  if (::getpid() != 1) return;
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (become(user)) ::kill(-1, signal);
    ::_exit(0);
  }
}

int count_processes() {
  DIR* const listing = ::opendir(kernel_paths::kProc);
  if (listing == nullptr) return 0;
  int count = 0;
  while (const dirent* entry = ::readdir(listing)) {
    if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') ++count;
  }
  ::closedir(listing);
  return count;
}

}  // namespace panal::agent
