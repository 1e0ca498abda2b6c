#include "netconfine/firewall/iptables/program.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>

#include "engine/base/kernel_paths.h"
#include "engine/base/log.h"
#include "engine/base/pidfd.h"
#include "engine/base/pipe.h"
#include "engine/base/system_program.h"
#include "engine/base/unique_fd.h"

namespace panal::netconfine {
namespace {

// A table of some 10,000 rules takes the old programs some seconds on a slow machine.
constexpr std::chrono::milliseconds kLimit{30'000};
constexpr std::size_t kMostOutputBytes = std::size_t{64} << 20;
constexpr std::size_t kMostWordsBytes = 300;

Result<UniqueFd> nameless_file(const char* what) {
  UniqueFd fd(::memfd_create(what, MFD_CLOEXEC));
  if (!fd) return fail_errno("make a file for", what);
  return fd;
}

Result<void> write_all(const UniqueFd& fd, std::string_view text) {
  for (std::size_t done = 0; done < text.size();) {
    const auto n =
        ::pwrite(fd.get(), text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("write a program's input");
    done += static_cast<std::size_t>(n);
  }
  return {};
}

Result<std::string> read_all(const UniqueFd& fd) {
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return fail_errno("look at a program's output");
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size > kMostOutputBytes) return fail(EFBIG, "read a program's output");
  std::string text(size, '\0');
  for (std::size_t done = 0; done < size;) {
    const auto n = ::pread(fd.get(), text.data() + done, size - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read a program's output");
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return text;
}

Result<int> reap(const Pidfd& process) {
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(process.fd()), &info, WEXITED) != 0) {
    if (errno != EINTR) return fail_errno("wait for a program");
  }
  return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

/// What a program is started with, laid out before the fork: between that and exec nothing may be
/// allocated.
class Start {
 public:
  explicit Start(const Program& program) : words_({program.path}) {
    words_.insert(words_.end(), program.arguments.begin(), program.arguments.end());
    for (auto& word : words_) argv_.push_back(word.data());
    argv_.push_back(nullptr);
    for (auto& variable : variables_) environment_.push_back(variable.data());
    environment_.push_back(nullptr);
  }

  /// Only calls that are safe after a fork of a process with threads. Returns where exec fails.
  void become(const std::array<UniqueFd, 3>& files, pid_t parent, int report) const {
    // An orphan could put old tables over what a new panald has loaded.
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    (void)::setpgid(0, 0);  // a Ctrl-C on the terminal must not end it in the middle
    (void)::signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
    int code = 0;
    for (int number = 0; number < 3 && code == 0; ++number)
      if (::dup2(files[static_cast<std::size_t>(number)].get(), number) < 0) code = errno;
    if (code == 0) {
      ::execve(argv_[0], argv_.data(), environment_.data());
      code = errno;
    }
    (void)!::write(report, &code, sizeof(code));
    ::_exit(127);
  }

 private:
  std::vector<std::string> words_;
  // The tables belong to a namespace in which nobody else works: the machine's one lock file is
  // not for us, and whoever holds it (another firewall at work) must not keep us waiting.
  std::vector<std::string> variables_ = {
      "PATH=/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL=C",
      std::string("XTABLES_LOCKFILE=") + kernel_paths::kProcSelfFd + "/0"};
  std::vector<char*> argv_;
  std::vector<char*> environment_;
};

/// The kernel ends it when the calling *thread* ends: that one waits for it.
Result<Pidfd> start(const Program& program, const std::array<UniqueFd, 3>& files) {
  const Start plan(program);
  PANAL_ASSIGN(Pipe report, make_pipe());
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno("start", program.path);
  if (pid == 0) plan.become(files, parent, report.write.get());
  report.write.reset();
  PANAL_ASSIGN(auto process, Pidfd::open(pid));  // our child: not gone before we reap it
  int code = 0;
  ssize_t length = 0;
  while ((length = ::read(report.read.get(), &code, sizeof(code))) < 0 && errno == EINTR) {
  }
  if (length != sizeof(code)) return process;  // the pipe was closed by exec
  (void)reap(process);
  return fail(code, "start " + program.path);
}

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

// "iptables-restore: line 7 failed", "Error occurred at line: 7", "line 7: RULE_APPEND failed".
std::size_t line_number(std::string_view errors) {
  for (const std::string_view mark : {"at line: ", "line "}) {
    for (auto at = errors.find(mark); at != std::string_view::npos;
         at = errors.find(mark, at + 1)) {
      const auto digits = errors.substr(at + mark.size());
      std::size_t number = 0;
      const auto [end, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), number);
      if (error == std::errc() && number > 0) return number;
    }
  }
  return 0;
}

// The first line that says more than where to find help. Some say the program's name twice.
std::string_view complaint(std::string_view errors) {
  std::string_view said;
  for (std::string_view line : lines_of(errors)) {
    if (line.starts_with("Try `") || line.starts_with("Error occurred at")) continue;
    if (line.starts_with("# ")) continue;  // a warning that other tables exist
    if (const auto end = line.find("): ");
        end != std::string_view::npos && line.substr(0, end).find(" v1.") != std::string_view::npos)
      line.remove_prefix(end + 3);
    while (!line.empty() && line.back() == ' ') line.remove_suffix(1);
    if (line.empty()) continue;
    said = line;
    break;
  }
  return said;
}

bool says(std::string_view errors, std::initializer_list<std::string_view> words) {
  for (const auto word : words)
    if (errors.find(word) != std::string_view::npos) return true;
  return false;
}

int code_of(std::string_view errors) {
  if (says(errors, {"must be root", "Permission denied", "Operation not permitted"})) return EPERM;
  if (says(errors, {"xtables lock", "Resource temporarily unavailable"})) return EAGAIN;
  if (says(errors,
           {"unable to initialize table", "can't initialize", "Couldn't load", "does not exist",
            "No chain/target/match", "not supported", "Protocol not available",
            "missing kernel module", "Extension ", "RULE_APPEND failed (No such file"}))
    return EPROTONOSUPPORT;
  return EIO;
}

}  // namespace

Result<std::string> find_program(const std::string& name) {
  std::string path = system_program(name);
  if (!path.empty()) return path;
  return fail(ENOENT, "the program " + name + " is in none of /usr/sbin, /sbin, /usr/bin, /bin");
}

Result<Ended> run_program(const Program& program, std::string_view input,
                          std::chrono::milliseconds limit) {
  std::array<UniqueFd, 3> files;
  PANAL_ASSIGN(files[0], nameless_file("input"));
  PANAL_ASSIGN(files[1], nameless_file("output"));
  PANAL_ASSIGN(files[2], nameless_file("errors"));
  PANAL_TRY(write_all(files[0], input));
  PANAL_ASSIGN(const Pidfd process, start(program, files));
  const auto ended = process.wait_exit(limit);
  if (!ended || !*ended) (void)process.send_signal(SIGKILL);
  PANAL_ASSIGN(const int status, reap(process));
  if (!ended) return tl::make_unexpected(ended.error());
  if (!*ended)
    return fail(ETIMEDOUT, std::string(base_name(program.path)) + " has not ended within " +
                               std::to_string(limit.count()) + " ms and was killed");
  Ended result;
  result.status = status;
  PANAL_ASSIGN(result.output, read_all(files[1]));
  PANAL_ASSIGN(result.errors, read_all(files[2]));
  return result;
}

Error failure_of(const Program& program, std::string_view input, const Ended& ended) {
  std::string sentence(base_name(program.path));
  if (const auto number = line_number(ended.errors); number > 0) {
    const auto lines = lines_of(input);
    if (number <= lines.size())
      sentence += " refuses \"" + printable(lines[number - 1], kMostWordsBytes) + "\"";
  }
  if (const auto said = complaint(ended.errors); !said.empty()) {
    sentence += ": " + printable(said, kMostWordsBytes);
  } else if (ended.status > 128) {
    sentence += " was ended by signal " + std::to_string(ended.status - 128);
  } else {
    sentence += " has failed with status " + std::to_string(ended.status);
  }
  return {code_of(ended.errors), std::move(sentence)};
}

Result<std::string> output_of(const Program& program, std::string_view input) {
  PANAL_ASSIGN(Ended ended, run_program(program, input, kLimit));
  if (ended.status != 0) return tl::make_unexpected(failure_of(program, input, ended));
  return std::move(ended.output);
}

}  // namespace panal::netconfine
