#include "bench/density/command.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/kernel_paths.h"

namespace panal::bench {
namespace {

std::vector<std::string> environment_with(const std::map<std::string, std::string>& more) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text(*entry);
    if (more.count(text.substr(0, text.find('='))) == 0) out.push_back(text);
  }
  for (const auto& [name, value] : more) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (const std::string& text : texts) list.push_back(const_cast<char*>(text.c_str()));
  list.push_back(nullptr);
  return list;
}

/// Forks; the child waits until `place` has been called, then becomes the program.
Result<pid_t> launch(const std::vector<std::string>& argv, const CommandOptions& options,
                     int output, int error_output) {
  const UniqueFd empty(::open(kernel_paths::kDevNull, O_RDWR | O_CLOEXEC));
  if (!empty) return fail_errno("open", kernel_paths::kDevNull);
  if (output < 0) output = empty.get();
  if (error_output < 0) error_output = empty.get();
  int gate[2];
  if (::pipe2(gate, O_CLOEXEC) != 0) return fail_errno("pipe2");
  const UniqueFd wait_here(gate[0]);
  UniqueFd open_gate(gate[1]);
  const auto texts = environment_with(options.environment);
  const auto arguments = pointers(argv);
  const auto variables = pointers(texts);
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("fork", argv[0]);
  if (pid == 0) {
    ::close(open_gate.get());
    char byte = 0;
    if (::read(wait_here.get(), &byte, 1) != 1) ::_exit(126);
    ::dup2(empty.get(), STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(error_output, STDERR_FILENO);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    ::execvpe(arguments[0], arguments.data(), variables.data());
    ::_exit(127);
  }
  if (options.place) {
    if (auto placed = options.place(pid); !placed) {
      open_gate.reset();
      ::waitpid(pid, nullptr, 0);
      return tl::make_unexpected(placed.error());
    }
  }
  if (::write(open_gate.get(), "g", 1) != 1) return fail_errno("start", argv[0]);
  return pid;
}

}  // namespace

Result<Child> Child::start(const std::vector<std::string>& argv, const CommandOptions& options) {
  UniqueFd output;
  if (!options.output_file.empty()) {
    output = UniqueFd(
        ::open(options.output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (!output) return fail_errno("open", options.output_file);
  }
  PANAL_ASSIGN(const pid_t pid, launch(argv, options, output.get(), output.get()));
  Child child;
  PANAL_ASSIGN(child.process_, Pidfd::open(pid));
  return child;
}

Child& Child::operator=(Child&& other) noexcept {
  end(std::chrono::seconds(5));
  process_ = std::move(other.process_);
  return *this;
}

Child::~Child() { end(std::chrono::seconds(5)); }

bool Child::running() const {
  if (!process_.valid()) return false;
  const auto ended = process_.wait_exit(std::chrono::milliseconds(0));
  return ended && !*ended;
}

void Child::signal(int number) const {
  if (process_.valid()) (void)process_.send_signal(number);
}

void Child::end(std::chrono::milliseconds patience) {
  if (!process_.valid()) return;
  signal(SIGTERM);
  if (const auto ended = process_.wait_exit(patience); !ended || !*ended) signal(SIGKILL);
  ::waitpid(process_.pid(), nullptr, 0);
  process_ = Pidfd();
}

Result<Finished> run_command(const std::vector<std::string>& argv, bool both) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe2");
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  PANAL_ASSIGN(const pid_t pid, launch(argv, {}, writing.get(), both ? writing.get() : -1));
  writing.reset();
  Finished out;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(reading.get(), buffer, sizeof buffer)) != 0;) {
    if (got < 0 && errno != EINTR) break;
    if (got > 0) out.output.append(buffer, static_cast<std::size_t>(got));
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return fail_errno("waitpid", argv[0]);
  out.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return out;
}

Result<std::string> output_of(const std::vector<std::string>& argv) {
  PANAL_ASSIGN(auto finished, run_command(argv, true));
  if (finished.exit_code == 0) return std::move(finished.output);
  std::string words;
  for (const auto& word : argv) words += (words.empty() ? "" : " ") + word;
  constexpr std::size_t kMost = 2000;
  const std::size_t size = finished.output.size();
  return fail(EPROTO, words + ": exit " + std::to_string(finished.exit_code) + ": " +
                          finished.output.substr(size > kMost ? size - kMost : 0));
}

}  // namespace panal::bench
