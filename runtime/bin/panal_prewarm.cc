// panal-prewarm: attaches to a fresh desktop once, so that its programs start before its user
// comes. Run by panald (runtime/agent/prewarm.h); ends when its standard input closes.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "engine/base/pidfd.h"
#include "runtime/agent/prewarm_inside.h"

namespace {

using panal::fail;
using panal::Result;
using panal::UniqueFd;
using panal::agent::prewarm::Options;

Result<int> number(std::string_view name, std::string_view text, int least, int most) {
  int value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || value < least ||
      value > most) {
    return fail(EINVAL, std::string(name) + " must be from " + std::to_string(least) + " to " +
                            std::to_string(most));
  }
  return value;
}

Result<std::string> read_cookie(int fd) {
  const UniqueFd source(fd);
  char text[33];
  const ssize_t count = ::read(source.get(), text, sizeof(text));
  if (count != 32 ||
      std::string_view(text, 32).find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return fail(EINVAL, "--cookie-fd must give 32 hex digits");
  }
  return std::string(text, 32);
}

Result<Options> parse(int argc, char** argv) {
  Options options;
  int cookie_fd = -1;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 == argc) return fail(EINVAL, std::string(name) + " needs a value");
    const std::string_view value = argv[i + 1];
    if (name == "--uid") {
      PANAL_ASSIGN(const int uid, number(name, value, 1, 2147483647));
      options.uid = static_cast<uid_t>(uid);
    } else if (name == "--gid") {
      PANAL_ASSIGN(const int gid, number(name, value, 1, 2147483647));
      options.gid = static_cast<gid_t>(gid);
    } else if (name == "--nx-fd") {
      PANAL_ASSIGN(const int fd, number(name, value, 3, 1024));
      options.nx = UniqueFd(fd);
    } else if (name == "--cookie-fd") {
      PANAL_ASSIGN(cookie_fd, number(name, value, 3, 1024));
    } else if (name == "--picture-fd") {
      PANAL_ASSIGN(const int fd, number(name, value, 3, 1024));
      options.asking = UniqueFd(fd);
    } else if (name == "--geometry") {
      PANAL_ASSIGN(options.geometry, panal::agent::parse_geometry(value));
    } else if (name == "--timeout-s") {
      PANAL_ASSIGN(options.timeout_s, number(name, value, 1, 3600));
    } else {
      return fail(EINVAL, "unknown option " + std::string(name));
    }
  }
  if (options.uid == 0 || options.gid == 0 || !options.nx || cookie_fd < 0) {
    return fail(EINVAL, "--uid, --gid, --nx-fd and --cookie-fd are needed");
  }
  PANAL_ASSIGN(options.cookie, read_cookie(cookie_fd));
  return options;
}

int complain(const panal::Error& error) {
  std::fprintf(stderr, "panal-prewarm: %s\n", error.message().c_str());
  return 1;
}

[[noreturn]] void child_main(Options options) {
  namespace prewarm = panal::agent::prewarm;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::fcntl(options.nx.get(), F_SETFD, FD_CLOEXEC);
  if (options.asking) ::fcntl(options.asking.get(), F_SETFD, FD_CLOEXEC);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  auto done = prewarm::confine(options.uid, options.gid);
  if (done) done = prewarm::run_inside(std::move(options));
  ::_exit(done ? 0 : complain(done.error()));
}

/// Waits until told to end, out of time, or the child has ended. The child's exit status.
int supervise(pid_t child, int timeout_s, const UniqueFd& signals) {
  auto process = panal::Pidfd::open(child);
  pollfd entries[] = {{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
                      {.fd = signals.get(), .events = POLLIN, .revents = 0},
                      {.fd = process ? process->fd() : -1, .events = POLLIN, .revents = 0}};
  const int ready = ::poll(entries, 3, timeout_s * 1000);
  const bool by_itself = entries[2].revents != 0;
  // The child is init of its pid namespace: with it all of them go.
  if (!by_itself) ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (ready == 0) {
    std::fprintf(stderr, "panal-prewarm: not told to end within %d s\n", timeout_s);
    return 1;
  }
  if (!by_itself) return 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace

int main(int argc, char** argv) {
  auto options = parse(argc, argv);
  if (!options) return complain(options.error());
  sigset_t wanted;
  ::sigemptyset(&wanted);
  ::sigaddset(&wanted, SIGTERM);
  ::sigaddset(&wanted, SIGINT);
  ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
  const UniqueFd signals(::signalfd(-1, &wanted, SFD_CLOEXEC));
  const int timeout_s = options->timeout_s;
  if (const auto done = panal::agent::prewarm::enter_namespaces(); !done) {
    return complain(done.error());
  }
  const pid_t child = ::fork();
  if (child < 0) return complain({.code = errno, .context = "fork"});
  if (child == 0) child_main(std::move(*options));
  options->nx.reset();
  options->asking.reset();
  return supervise(child, timeout_s, signals);
}
