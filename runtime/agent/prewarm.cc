#include "runtime/agent/prewarm.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <vector>

#include "engine/base/log.h"

namespace panal::agent {
namespace {

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("make pipe");
  return Pipe{.read = UniqueFd(ends[0]), .write = UniqueFd(ends[1])};
}

/// Two ends: ours, and the child's, which does not wait for ever for somebody who takes the
/// picture.
Result<std::pair<UniqueFd, UniqueFd>> make_asking() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return fail_errno("make a socket for pictures");
  std::pair<UniqueFd, UniqueFd> pair{UniqueFd(ends[0]), UniqueFd(ends[1])};
  constexpr timeval kPatience{.tv_sec = 5, .tv_usec = 0};
  if (::setsockopt(ends[1], SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof(kPatience)) != 0)
    return fail_errno("limit the socket for pictures");
  return pair;
}

/// Above the numbers the child gets, so that no dup2 lands on a source.
Result<UniqueFd> high(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 10));
  if (!copy) return fail_errno("duplicate descriptor");
  return copy;
}

class FileActions {
 public:
  FileActions() { ::posix_spawn_file_actions_init(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  void give(const UniqueFd& from, int to) {
    ::posix_spawn_file_actions_adddup2(&actions_, from.get(), to);
  }
  [[nodiscard]] const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

}  // namespace

Result<Prewarm> Prewarm::start(Spec spec) {
  if (spec.uid == 0 || spec.gid == 0) return fail(EINVAL, "start panal-prewarm as root");
  PANAL_ASSIGN(Pipe input, make_pipe());
  PANAL_ASSIGN(Pipe errors, make_pipe());
  PANAL_ASSIGN(Pipe cookie, make_pipe());
  if (::write(cookie.write.get(), spec.cookie.data(), spec.cookie.size()) !=
      static_cast<ssize_t>(spec.cookie.size())) {
    return fail_errno("hand the cookie to panal-prewarm");
  }
  cookie.write.reset();
  PANAL_ASSIGN(const UniqueFd in, high(input.read.get()));
  PANAL_ASSIGN(const UniqueFd err, high(errors.write.get()));
  PANAL_ASSIGN(const UniqueFd nx, high(spec.nx.get()));
  PANAL_ASSIGN(const UniqueFd secret, high(cookie.read.get()));
  FileActions actions;
  actions.give(in, 0);
  actions.give(err, 1);
  actions.give(err, 2);
  actions.give(nx, 3);
  actions.give(secret, 4);
  std::pair<UniqueFd, UniqueFd> asking;
  UniqueFd asked;
  if (spec.pictures) {
    PANAL_ASSIGN(asking, make_asking());
    PANAL_ASSIGN(asked, high(asking.second.get()));
    actions.give(asked, 5);
  }
  std::vector<std::string> words = {
      spec.program,
      "--uid",
      std::to_string(spec.uid),
      "--gid",
      std::to_string(spec.gid),
      "--nx-fd",
      "3",
      "--cookie-fd",
      "4",
      "--geometry",
      std::to_string(spec.geometry.width) + "x" + std::to_string(spec.geometry.height),
      "--timeout-s",
      std::to_string(spec.timeout.count())};
  if (spec.pictures) words.insert(words.end(), {"--picture-fd", "5"});
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  char path[] = "PATH=/usr/bin:/bin";
  char* environment[] = {path, nullptr};
  pid_t pid = -1;
  const int error =
      ::posix_spawn(&pid, spec.program.c_str(), actions.get(), nullptr, argv.data(), environment);
  if (error != 0) return fail(error, "start " + spec.program);
  Prewarm prewarm;
  PANAL_ASSIGN(prewarm.process_, Pidfd::open(pid));
  prewarm.input_ = std::move(input.write);
  prewarm.errors_ = std::move(errors.read);
  prewarm.asking_ = std::move(asking.first);
  prewarm.geometry_ = spec.geometry;
  return prewarm;
}

Result<Picture> Prewarm::take_picture(std::chrono::milliseconds timeout) const {
  constexpr char kPlease = 'p';
  if (::send(asking_.get(), &kPlease, 1, MSG_NOSIGNAL) != 1)
    return fail_errno("ask panal-prewarm for a picture");
  return receive_picture(asking_.get(), geometry_, timeout);
}

Prewarm& Prewarm::operator=(Prewarm&& other) noexcept {
  if (this != &other) {
    stop(std::chrono::milliseconds{0});
    process_ = std::move(other.process_);
    input_ = std::move(other.input_);
    errors_ = std::move(other.errors_);
    asking_ = std::move(other.asking_);
    geometry_ = other.geometry_;
  }
  return *this;
}

Prewarm::~Prewarm() { stop(std::chrono::milliseconds{0}); }

Result<bool> Prewarm::ended() {
  if (!process_.valid()) return true;
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(process_.fd()), &info, WEXITED | WNOHANG) != 0) {
    process_ = {};
    return fail_errno("wait for panal-prewarm");
  }
  if (info.si_pid == 0) return false;
  process_ = {};
  input_.reset();
  if (info.si_code == CLD_EXITED && info.si_status == 0) return true;
  char text[512];
  const ssize_t count = ::read(errors_.get(), text, sizeof(text));
  const std::string said =
      count > 0 ? printable({text, static_cast<std::size_t>(count)}) : "it said nothing";
  return fail(ECHILD, "panal-prewarm failed (" + said + ")");
}

void Prewarm::stop(std::chrono::milliseconds patience) {
  if (!process_.valid()) return;
  input_.reset();
  const auto gone = process_.wait_exit(patience);
  if (!gone || !*gone) [[maybe_unused]]
    const auto sent = process_.send_signal(SIGKILL);
  siginfo_t info{};
  ::waitid(P_PIDFD, static_cast<id_t>(process_.fd()), &info, WEXITED);
  process_ = {};
}

}  // namespace panal::agent
