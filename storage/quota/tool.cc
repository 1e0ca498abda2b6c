#include "storage/quota/tool.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/cleanup.h"
#include "engine/base/kernel_paths.h"
#include "engine/base/log.h"
#include "engine/base/unique_fd.h"

namespace panal::storage {
namespace {

constexpr std::size_t kToolWords = 400;  ///< of its output, kept for the error

Result<std::string> find_tool(const std::string& name) {
  for (const char* directory : {"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"}) {
    std::string path = directory + name;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return fail(ENOENT, "the program " + name + " is not installed");
}

/// All it says; the end of it is kept.
std::string read_words(int fd) {
  std::string words;
  char block[4096];
  for (;;) {
    const ssize_t got = ::read(fd, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return words;
    words.append(block, static_cast<std::size_t>(got));
    if (words.size() > kToolWords) words.erase(0, words.size() - kToolWords);
  }
}

}  // namespace

Result<void> run_tool(const std::vector<std::string>& argv) {
  PANAL_ASSIGN(const std::string program, find_tool(argv.at(0)));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("make a pipe");
  const UniqueFd output(ends[0]);
  UniqueFd inside(ends[1]);

  std::vector<std::string> words = argv;
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  std::string locale = "LC_ALL=C";
  std::string path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  char* environment[] = {locale.data(), path.data(), nullptr};

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  const Cleanup destroy([&] {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  });
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, kernel_paths::kDevNull, O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, inside.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, inside.get(), STDERR_FILENO);
  pid_t child = -1;
  const int error =
      ::posix_spawn(&child, program.c_str(), &actions, &attributes, pointers.data(), environment);
  if (error != 0) return fail(error, "start " + program);
  inside.reset();
  const std::string said = read_words(output.get());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return fail_errno("wait for", program);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return fail(EIO,
              program + " ended with " + std::to_string(code) + ": " + printable(said, kToolWords));
}

}  // namespace panal::storage
