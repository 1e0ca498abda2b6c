#include "netconfine/uplink/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "engine/base/unique_fd.h"

namespace panal::netconfine {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::array kFolders = {"/usr/sbin", "/usr/bin", "/sbin", "/bin"};
constexpr std::size_t kMostOutput = 1 << 20;

std::string path_of(const std::string& name) {
  for (const char* folder : kFolders) {
    std::string path = fmt::format("{}/{}", folder, name);
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

struct Pipe {
  UniqueFd read, write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// Standard input: a file in memory. Whoever stops reading gets no SIGPIPE, nobody waits for each
// other, and a program that opens /dev/stdin by name can (it could not with a socket).
Result<UniqueFd> make_input(const std::string& text) {
  UniqueFd file(memfd_create("panal-input", MFD_CLOEXEC));
  if (!file) return fail_errno("memfd_create");
  for (std::size_t written = 0; written < text.size();) {
    const auto n = write(file.get(), text.data() + written, text.size() - written);
    if (n < 0) return fail_errno("write a program's input");
    written += static_cast<std::size_t>(n);
  }
  if (lseek(file.get(), 0, SEEK_SET) != 0) return fail_errno("rewind a program's input");
  return file;
}

struct FileActions {
  FileActions() { posix_spawn_file_actions_init(&actions); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  posix_spawn_file_actions_t actions{};
};

struct SpawnAttributes {
  SpawnAttributes() { posix_spawnattr_init(&value); }
  ~SpawnAttributes() { posix_spawnattr_destroy(&value); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  posix_spawnattr_t value{};
};

Result<pid_t> start(const std::string& path, const std::vector<std::string>& words, int in, int out,
                    int error) {
  FileActions files;
  posix_spawn_file_actions_adddup2(&files.actions, in, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files.actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files.actions, error, STDERR_FILENO);
  // panald blocks signals it waits for; a program with those blocked could not be stopped.
  SpawnAttributes attributes;
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes.value, &none);
  posix_spawnattr_setsigdefault(&attributes.value, &all);
  posix_spawnattr_setflags(&attributes.value, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> arguments;
  for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::string language = "LC_ALL=C";
  std::string folders = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  char* environment[] = {language.data(), folders.data(), nullptr};
  pid_t pid = -1;
  const int code = posix_spawn(&pid, path.c_str(), &files.actions, &attributes.value,
                               arguments.data(), environment);
  if (code != 0) return fail(code, "run " + path);
  return pid;
}

// Reads until both outputs end.
Result<void> read_outputs(UniqueFd out, UniqueFd error, ProgramOutput& output,
                          Clock::time_point end) {
  for (const int fd : {out.get(), error.get()}) fcntl(fd, F_SETFL, O_NONBLOCK);
  while (out || error) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) return fail(ETIMEDOUT, "wait for its end");
    // A negative descriptor is skipped.
    std::array<pollfd, 2> waiting{
        {{out ? out.get() : -1, POLLIN, 0}, {error ? error.get() : -1, POLLIN, 0}}};
    if (poll(waiting.data(), waiting.size(), static_cast<int>(left)) < 0 && errno != EINTR) {
      return fail_errno("poll");
    }
    for (auto [fd, events, text] : {std::tuple(&out, waiting[0].revents, &output.out),
                                    std::tuple(&error, waiting[1].revents, &output.error)}) {
      if (events == 0) continue;
      std::array<char, 16384> part{};
      const auto n = read(fd->get(), part.data(), part.size());
      if (n > 0) text->append(part.data(), static_cast<std::size_t>(n));
      if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) fd->reset();
      if (text->size() > kMostOutput) return fail(E2BIG, "read its output");
    }
  }
  return {};
}

}  // namespace

bool has_program(const std::string& name) { return !path_of(name).empty(); }

std::string shown(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) {
    if (!text.empty()) text += ' ';
    text += word.find(' ') == std::string::npos ? word : '"' + word + '"';
  }
  return text;
}

Result<ProgramOutput> run_program(const std::vector<std::string>& words, const std::string& input,
                                  std::chrono::milliseconds limit) {
  const auto end = Clock::now() + limit;
  const std::string path = path_of(words.front());
  if (path.empty()) return fail(ENOENT, "run " + words.front());
  PANAL_ASSIGN(auto in, make_input(input));
  PANAL_ASSIGN(auto out, make_pipe());
  PANAL_ASSIGN(auto error, make_pipe());
  PANAL_ASSIGN(const pid_t pid, start(path, words, in.get(), out.write.get(), error.write.get()));
  in.reset();
  out.write.reset();
  error.write.reset();
  ProgramOutput output;
  auto done = read_outputs(std::move(out.read), std::move(error.read), output, end);
  if (!done) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!done) return prefixed("run " + shown(words), std::move(done.error()));
  output.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return output;
}

Result<std::string> must_run(const std::vector<std::string>& words, const std::string& input) {
  PANAL_ASSIGN(auto output, run_program(words, input));
  if (output.status == 0) return std::move(output.out);
  const std::string& said = output.error.empty() ? output.out : output.error;
  return fail(EPROTO, fmt::format("{} ended with {}: {}", shown(words), output.status,
                                  said.substr(0, said.find('\n'))));
}

}  // namespace panal::netconfine
