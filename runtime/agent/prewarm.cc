#include "runtime/agent/prewarm.h"

#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "engine/base/log.h"
#include "engine/base/pipe.h"

namespace panal::agent {
namespace {

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
  std::pair<UniqueFd, UniqueFd> asking;
  if (spec.pictures) {
    PANAL_ASSIGN(asking, make_asking());
  }
  ChildCommand command{.program = spec.program};
  command.argv = {spec.program,
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
  command.environment = std::vector<std::string>{"PATH=/usr/bin:/bin"};
  command.descriptors = {{0, input.read.get()},
                         {1, errors.write.get()},
                         {2, errors.write.get()},
                         {3, spec.nx.get()},
                         {4, cookie.read.get()}};
  if (spec.pictures) {
    command.argv.insert(command.argv.end(), {"--picture-fd", "5"});
    command.descriptors.push_back({5, asking.second.get()});
  }
  command.usual_signals = {};  // what runs in it is used to panald's: a broken pipe is an error
  Prewarm prewarm;
  PANAL_ASSIGN(prewarm.process_, ChildProcess::start(command));
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

Result<bool> Prewarm::ended() {
  if (!process_.valid()) return true;
  PANAL_ASSIGN(const auto end, process_.wait(std::chrono::milliseconds{0}));
  if (!end) return false;
  input_.reset();
  if (end->well()) return true;
  char text[512];
  const ssize_t count = ::read(errors_.get(), text, sizeof(text));
  const std::string said =
      count > 0 ? printable({text, static_cast<std::size_t>(count)}) : "it said nothing";
  return fail(ECHILD, "panal-prewarm failed (" + said + ")");
}

void Prewarm::stop(std::chrono::milliseconds patience) {
  if (!process_.valid()) return;
  input_.reset();
  (void)process_.wait(patience);  // where that ended it, nobody is left to be killed
  process_.kill();
}

}  // namespace panal::agent
