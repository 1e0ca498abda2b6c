#include "runtime/client/password.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>

#include "engine/base/cleanup.h"
#include "engine/base/unique_fd.h"

namespace panal::client {
namespace {

constexpr std::size_t kLongest = 1024;

}  // namespace

Result<std::string> read_password(int fd, const std::string& from) {
  std::string line;
  for (;;) {
    char c = 0;
    const ssize_t got = ::read(fd, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read the password from", from);
    if (got == 0 || c == '\n') break;
    if (line.size() == kLongest) return fail(EINVAL, "the password from " + from + " is too long");
    line += c;
  }
  if (!line.empty() && line.back() == '\r') line.pop_back();
  if (line.empty()) return fail(EINVAL, "there is no password on the first line of " + from);
  return line;
}

Result<std::string> read_password_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno("open the password file", path);
  return read_password(fd.get(), path);
}

Result<std::string> ask_password(const std::string& login) {
  termios before{};
  if (::tcgetattr(STDIN_FILENO, &before) != 0) {
    return read_password(STDIN_FILENO, "standard input");
  }
  // Ctrl-C must not leave the terminal without echo: it comes as a descriptor meanwhile.
  sigset_t interrupts, mask;
  sigemptyset(&interrupts);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&interrupts, number);
  ::sigprocmask(SIG_BLOCK, &interrupts, &mask);
  Cleanup restore([&] { ::sigprocmask(SIG_SETMASK, &mask, nullptr); });
  const UniqueFd interrupted(::signalfd(-1, &interrupts, SFD_CLOEXEC));
  termios silent = before;
  silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  std::fprintf(stderr, "Password of %s: ", login.c_str());
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  restore.push([&] {
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    std::fputc('\n', stderr);
  });
  // In line mode the terminal is readable once the whole line is there.
  pollfd entries[] = {{STDIN_FILENO, POLLIN, 0}, {interrupted.get(), POLLIN, 0}};
  while (::poll(entries, 2, -1) < 0 && errno == EINTR) {
  }
  if (entries[1].revents != 0) {
    signalfd_siginfo eaten{};  // or it would come again once unblocked
    (void)!::read(interrupted.get(), &eaten, sizeof eaten);
    return fail(ECANCELED, "ask for the password");
  }
  return read_password(STDIN_FILENO, "the terminal");
}

}  // namespace panal::client
