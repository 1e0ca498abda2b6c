#include "storage/compose/program/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "engine/base/kernel_paths.h"
#include "engine/base/unique_fd.h"

namespace panal::storage {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::array kDirectories = {"/usr/sbin", "/usr/bin", "/sbin", "/bin"};
constexpr std::size_t kMostWords = std::size_t{1} << 20U;

std::string path_of(const std::string& name) {
  for (const char* directory : kDirectories) {
    std::string path = std::string(directory) + "/" + name;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

struct Said {
  std::string out, error;
};

/// Until both ends are closed. False: it took too long, or said too much.
bool hear(int out, int error, milliseconds patience, Said& said) {
  const auto give_up = steady_clock::now() + patience;
  std::array<pollfd, 2> ends = {pollfd{out, POLLIN, 0}, pollfd{error, POLLIN, 0}};
  while (ends[0].fd >= 0 || ends[1].fd >= 0) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(give_up - steady_clock::now()).count();
    if (left <= 0) return false;
    if (::poll(ends.data(), ends.size(), static_cast<int>(std::min<long>(left, 60'000))) < 0 &&
        errno != EINTR)
      return false;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      if (ends[i].fd < 0 || ends[i].revents == 0) continue;
      char block[4096];
      const ssize_t got = ::read(ends[i].fd, block, sizeof block);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        ends[i].fd = -1;
        continue;
      }
      std::string& words = i == 0 ? said.out : said.error;
      words.append(block, static_cast<std::size_t>(got));
      if (words.size() > kMostWords) return false;
    }
  }
  return true;
}

}  // namespace

bool has_program(const std::string& name) { return !path_of(name).empty(); }

Result<std::string> run_program(const std::vector<std::string>& argv, milliseconds patience) {
  const std::string path = path_of(argv.at(0));
  if (path.empty()) return fail(ENOENT, "the program " + argv[0] + " is not installed");
  const UniqueFd null(::open(kernel_paths::kDevNull, O_RDONLY | O_CLOEXEC));
  if (!null) return fail_errno("open", kernel_paths::kDevNull);
  int out[2];
  int error[2];
  if (::pipe2(out, O_CLOEXEC) != 0) return fail_errno("pipe");
  const UniqueFd out_here(out[0]);
  UniqueFd out_there(out[1]);
  if (::pipe2(error, O_CLOEXEC) != 0) return fail_errno("pipe");
  const UniqueFd error_here(error[0]);
  UniqueFd error_there(error[1]);

  std::vector<std::string> words = argv;
  std::vector<std::string> variables = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"};
  // Whoever is in an IPC namespace of their own must tell LVM not to wait for udev: what they would
  // meet at is not seen from there.
  if (const char* set = std::getenv("DM_DISABLE_UDEV"); set != nullptr)
    variables.push_back(std::string("DM_DISABLE_UDEV=") + set);
  std::vector<char*> arguments;
  std::vector<char*> environment;
  for (auto& word : words) arguments.push_back(word.data());
  for (auto& variable : variables) environment.push_back(variable.data());
  arguments.push_back(nullptr);
  environment.push_back(nullptr);

  const pid_t child = ::fork();
  if (child < 0) return fail_errno("fork");
  if (child == 0) {
    if (::dup2(null.get(), STDIN_FILENO) < 0 || ::dup2(out_there.get(), STDOUT_FILENO) < 0 ||
        ::dup2(error_there.get(), STDERR_FILENO) < 0)
      ::_exit(126);
    sigset_t none;
    ::sigemptyset(&none);
    (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
    (void)::signal(SIGPIPE, SIG_DFL);
    ::execve(path.c_str(), arguments.data(), environment.data());
    ::_exit(127);
  }
  out_there.reset();
  error_there.reset();
  Said said;
  const bool in_time = hear(out_here.get(), error_here.get(), patience, said);
  if (!in_time) (void)::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return fail_errno("wait for", argv[0]);
  if (!in_time) return fail(ETIMEDOUT, argv[0] + " took too long and was killed");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return said.out;
  constexpr std::size_t kTail = 400;
  std::string tail = said.error.empty() ? said.out : said.error;
  if (tail.size() > kTail) tail.erase(0, tail.size() - kTail);
  while (!tail.empty() && tail.back() == '\n') tail.pop_back();
  return fail(EIO, argv[0] + " failed: " + tail);
}

}  // namespace panal::storage
