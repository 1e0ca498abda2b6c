// Datagrams on panald's socket: taken over, a broker may send anything. One is received at a time,
// whole, and gives a JSON object or an error.
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>

#include "engine/base/unique_fd.h"
#include "runtime/control/message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto pair = [] {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
    return std::pair(panal::UniqueFd(fds[0]), panal::UniqueFd(fds[1]));
  }();
  if (size == 0) return -1;  // nothing: the peer has gone
  if (::send(pair.first.get(), data, size, MSG_DONTWAIT) < 0) return -1;
  const auto message = panal::control::receive_message(pair.second.get());
  if (message && (!message->body.is_object() || message->descriptor)) std::abort();
  if (!message && message.error().code != EPROTO) std::abort();
  char rest = 0;
  if (::recv(pair.second.get(), &rest, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN) std::abort();
  return 0;
}
