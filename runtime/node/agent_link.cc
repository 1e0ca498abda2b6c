#include "runtime/node/agent_link.h"

#include <sys/socket.h>

#include <array>

namespace panal::node {

AgentLink::AgentLink(loop::Loop& loop, UniqueFd connection, Handlers handlers)
    : loop_(loop),
      descriptor_(loop, std::move(connection)),
      handlers_(std::move(handlers)),
      awaited_(loop) {
  wait();
}

void AgentLink::wait() {
  descriptor_.wait(loop::Ready::kReadable, [this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) receive();
  });
}

bool AgentLink::within_budget() {
  const auto now = std::chrono::steady_clock::now();
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    frames_ = 0;
  }
  return ++frames_ <= kFramesPerSecond;
}

void AgentLink::receive() {
  std::array<char, agent::kFrameBytes> buffer;
  const std::weak_ptr alive = alive_;
  // A few at a time: other desktops share the thread.
  for (int i = 0; i < 16; ++i) {
    const ssize_t size =
        ::recv(descriptor_.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) break;
    if (size <= 0) return finish("the connection ended");
    if (static_cast<std::size_t>(size) > buffer.size()) return finish("a frame was too long");
    if (!within_budget()) return finish("too many frames in a second");
    const auto frame =
        agent::decode(std::string_view(buffer.data(), static_cast<std::size_t>(size)));
    if (!frame) return finish(frame.error().context);
    handlers_.frame(*frame);
    if (alive.expired() || ended_) return;
  }
  wait();
}

Result<void> AgentLink::send(const agent::Frame& frame) {
  if (ended_) return fail(ENOTCONN, "the agent is not connected");
  PANAL_ASSIGN(const std::string text, agent::encode(frame));
  ssize_t sent = 0;
  while ((sent = ::send(descriptor_.fd(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL)) <
         0) {
    if (errno == EINTR) continue;
    auto error = fail_errno("send to the agent");
    // Not from inside the caller's call.
    loop_.post([this, alive = std::weak_ptr(alive_)] {
      if (!alive.expired()) finish("the agent does not read what it is sent");
    });
    return error;
  }
  return {};
}

void AgentLink::await(std::chrono::milliseconds limit, const std::string& reason) {
  awaited_.start(limit, [this, reason] { finish(reason); });
}

void AgentLink::finish(const std::string& reason) {
  if (std::exchange(ended_, true)) return;
  descriptor_.close();
  awaited_.cancel();
  const auto end = handlers_.end;
  end(reason);
}

}  // namespace panal::node
