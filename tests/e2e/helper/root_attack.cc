// What a desktop's root can do to panald, run inside the desktop by tests/e2e/hostile_root.py; and
// what is left of the calls that hostile.py's helper does not try, as the desktop's user.
// Static: images have no compiler and no python.
//
// root-attack agent SECONDS   plays the agent on the agent's socket, over and over; whenever it is
//                             taken for one (welcomed) it sends what no agent sends
// root-attack hold WAY SECONDS
//                             has the one connection and keeps it until panald ends it: "mute"
//                             never says hello, "slow" does and then sends a byte a second
// root-attack calls           system calls whose answers are printed
// Prints lines "NAME VALUE".
#include <fcntl.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr const char* kSocket = "/run/panal/agent.sock";

void say(const char* name, long value) {
  std::printf("%s %ld\n", name, value);
  (void)std::fflush(stdout);
}

int connect_to_panald() {
  const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, kSocket);
  if (fd >= 0 && connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

bool put(int fd, const std::string& frame) {
  return send(fd, frame.data(), frame.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
         static_cast<ssize_t>(frame.size());
}

enum class Answer { kNothing, kBytes, kClosed };

Answer answer(int fd, int milliseconds) {
  pollfd entry{fd, POLLIN, 0};
  if (poll(&entry, 1, milliseconds) <= 0) return Answer::kNothing;
  char buffer[16384];
  return recv(fd, buffer, sizeof buffer, 0) > 0 ? Answer::kBytes : Answer::kClosed;
}

constexpr std::array kWays = {"garbage", "huge", "flood", "silence", "words", "numbers", "deaf"};

/// True: panald ended the link, or the way is one that it must bear.
bool misbehave(int fd, std::size_t way) {
  const std::string noise("\x00\xff\x1b[31m hello = %00 %zz \n", 23);
  switch (way) {
    case 0: put(fd, noise); break;
    case 1: put(fd, "status session=none reason=" + std::string(100000, 'x')); break;
    case 2:
      for (int i = 0; i < 5000 && put(fd, "idle ms=" + std::to_string(i)); ++i) {
      }
      break;
    case 3: (void)usleep(1500000); return true;
    case 4:
      put(fd,
          "session state=connected attach=1 reason=%1b%5b31mred%07%9b2J" + std::string(3000, 'y'));
      put(fd, "failed step=%1b%5b2J reason=%0aforged%20line%c2%9b");
      put(fd, "bye reason=%1b%5d0;title%07");
      return true;
    case 5:
      put(fd, "status session=nonsense idle_ms=99999999999999999999999 processes=-1");
      put(fd, "listening attach=18446744073709551615");
      put(fd, "settled windows=" + std::string(300, '9'));
      return true;
    default:
      // Never reads: what it is sent fills the socket.
      for (int i = 0; i < 150; ++i)
        put(fd, "hello protocol=1 min_protocol=1 session=none attach=1");
      return true;
  }
  for (int i = 0; i < 100; ++i)
    if (answer(fd, 50) == Answer::kClosed) return true;
  return false;
}

int play_agent(int seconds) {
  std::array<long, kWays.size()> taken{};
  long tried = 0, refused = 0, borne = 0;
  std::size_t way = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (std::chrono::steady_clock::now() < end) {
    const int fd = connect_to_panald();
    if (fd < 0) {
      (void)usleep(1000);
      continue;
    }
    ++tried;
    // The largest signed number: panald counts on from what it is told.
    put(fd, "hello protocol=1 min_protocol=1 session=suspended attach=9223372036854775807");
    if (answer(fd, 300) == Answer::kBytes) {
      ++taken[way];
      if (!misbehave(fd, way)) ++borne;
      way = (way + 1) % kWays.size();
    } else {
      ++refused;
    }
    close(fd);
    (void)usleep(2000);
  }
  say("tried", tried);
  say("refused", refused);
  say("borne", borne);
  for (std::size_t i = 0; i < kWays.size(); ++i) say(kWays[i], taken[i]);
  return 0;
}

/// Says "held 1" once it has the connection; then how long it had it, and whether panald ended it.
int hold(bool mute, int seconds) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::seconds(seconds);
  while (Clock::now() < end) {
    const int fd = connect_to_panald();
    const auto begin = Clock::now();
    if (fd >= 0 && !mute) put(fd, "hello protocol=1 min_protocol=1 session=suspended attach=1");
    // One beside the agent's own is closed at once.
    const Answer first = fd < 0 ? Answer::kClosed : answer(fd, 300);
    if (first != (mute ? Answer::kNothing : Answer::kBytes)) {
      if (fd >= 0) close(fd);
      (void)usleep(1000);
      continue;
    }
    say("held", 1);
    bool ended = false;
    while (!ended && Clock::now() < end) {
      if (!mute) put(fd, "x");
      ended = answer(fd, 1000) == Answer::kClosed;
    }
    say("ended", ended ? 1 : 0);
    say("milliseconds",
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count());
    return 0;
  }
  say("held", 0);
  return 0;
}

int calls() {
  const auto tell = [](const char* name, long result) { say(name, result < 0 ? errno : 0); };
  tell("mount", mount("none", "/tmp", "tmpfs", 0, nullptr));
  tell("umount", umount2("/tmp", MNT_DETACH));
  perf_event_attr event{};
  event.size = sizeof event;
  event.type = PERF_TYPE_SOFTWARE;
  tell("perf", syscall(SYS_perf_event_open, &event, 0, -1, -1, 0));
  tell("userfaultfd", syscall(SYS_userfaultfd, O_CLOEXEC));
  tell("add_key", syscall(SYS_add_key, "user", "k", "v", 1, -3));
  tell("request_key", syscall(SYS_request_key, "user", "k", nullptr, -3));
  tell("join_keyring", syscall(SYS_keyctl, 1, nullptr, 0, 0, 0));
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  tell("ptrace_child", ptrace(PTRACE_ATTACH, child, nullptr, nullptr));
  kill(child, SIGKILL);
  (void)waitpid(child, nullptr, 0);
  char byte = 0;
  iovec here{&byte, 1}, there{&byte, 1};
  tell("read_memory", process_vm_readv(getppid(), &here, 1, &there, 1, 0));
  alignas(file_handle) char handle[sizeof(file_handle) + 8] = {};
  tell("open_handle",
       open_by_handle_at(AT_FDCWD, reinterpret_cast<file_handle*>(handle), O_RDONLY));
  tell("clone_user", syscall(SYS_clone, 0x10000000 | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  return 0;
}

}  // namespace

int main(int count, char** words) {
  const std::vector<std::string> args(words + 1, words + count);
  if (args.size() == 2 && args[0] == "agent") return play_agent(std::atoi(args[1].c_str()));
  if (args.size() == 3 && args[0] == "hold" && (args[1] == "mute" || args[1] == "slow"))
    return hold(args[1] == "mute", std::atoi(args[2].c_str()));
  if (args.size() == 1 && args[0] == "calls") return calls();
  (void)std::fprintf(stderr, "root-attack: unknown words\n");
  return 2;
}
